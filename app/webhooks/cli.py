"""`flask webhooks …`."""

from datetime import datetime

import click
from flask.cli import AppGroup

from app.console import Moment
from app.webhooks import service

webhooks_commands = AppGroup("webhooks", help="Signed webhooks to WEBHOOK_URL.")


@webhooks_commands.command()
@click.option("--order-no", help="All steps of this order.")
@click.option("--since", type=Moment(), help="All steps of all orders from this moment on.")
def replay(order_no: str | None, since: datetime | None) -> None:
    """Send steps of orders again, with the same webhook-id as before."""
    if (order_no is None) is (since is None):
        raise click.UsageError("give either --order-no or --since")
    if not service.enabled():
        raise click.ClickException("WEBHOOK_URL is not set: there is nobody to send to")
    try:
        steps = service.replay(order_no=order_no, since=since)
    except LookupError as error:
        raise click.ClickException(f"there is no order {order_no}") from error
    click.echo(f"{steps} steps will be sent again")
