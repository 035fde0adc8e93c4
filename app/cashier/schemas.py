"""What the cashier's URLs give besides pages."""

from typing_extensions import TypedDict


class TicketOut(TypedDict):
    """A ticket for one order's cashier: `url` opens the page in a browser, `expires_in` is seconds."""

    url: str
    ticket: str
    expires_in: int
