"""`flask order erase-words` erases what people wrote about an order."""

import getpass

import click

from app.erasure.service import HistoryBroken, NoSuchLine, erase_order_words
from app.orders.cli import order_commands
from app.orders.history import NoSuchOrder


@order_commands.command("erase-words")
@click.argument("order_no")
@click.option("--line", "lines", type=click.IntRange(1), multiple=True, help="Only of this line; may be repeated.")
@click.option("--reason", required=True, help="Why; it is recorded, so without the words themselves.")
@click.option("--by", default=getpass.getuser, help="Who; it is recorded. Default: who runs the command.")
@click.option("--although-broken", is_flag=True, help="Also where the history is not whole.")
def erase_words(order_no: str, lines: tuple[int, ...], reason: str, by: str, although_broken: bool) -> None:  # noqa: FBT001 - click passes options by name
    """Erase what buyer, seller and staff wrote about ORDER_NO. Its history stays, and can be proved without them."""
    if not 1 <= len(reason.strip()) <= _WHY or not 1 <= len(by.strip()) <= _BY:
        raise click.ClickException(f"--reason has 1 to {_WHY} characters, --by 1 to {_BY}")
    try:
        erased = erase_order_words(
            order_no=order_no, lines=lines, by=by.strip(), why=reason.strip(), although_broken=although_broken
        )
    except NoSuchOrder as error:
        raise click.ClickException(f"there is no order {order_no}") from error
    except NoSuchLine as error:
        raise click.ClickException(f"the history has no line {error}") from error
    except HistoryBroken as broken:
        text = "the history is not whole; export it first, then say --although-broken"
        raise click.ClickException("\n".join([text, *broken.problems])) from broken
    numbers = ", ".join(map(str, erased)) or "none"
    click.echo(f"order {order_no}: lines whose words are erased: {numbers}")


_WHY, _BY = 200, 60
