"""What a service is that moderates for us."""

from typing import Protocol

from app.moderation.verdicts import Hit


class Unavailable(Exception):  # noqa: N818 - it says what happened
    """The service gave no verdict; its text names neither the content nor a secret.

    `pause` is for how many seconds asking again makes no sense: an allowance that is used up.
    """

    def __init__(self, message: str, *, pause: int = 0) -> None:
        self.pause = pause
        super().__init__(message)


class Provider(Protocol):
    """Judges texts and pictures. Both raise `Unavailable`."""

    def check_text(self, text: str) -> tuple[Hit, ...]:
        """What it finds wrong with a text."""

    def check_picture(self, data: bytes) -> tuple[Hit, ...]:
        """What it finds wrong with a picture, a whole file that was decoded before."""
