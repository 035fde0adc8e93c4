"""`flask webhooks …`."""

from datetime import datetime

import click
from flask.cli import AppGroup

from app.webhooks import service

webhooks_commands = AppGroup("webhooks", help="Signed webhooks to WEBHOOK_URL.")


class _Moment(click.ParamType[datetime]):
    """A time in ISO 8601 with its offset from UTC; without one its meaning would depend on the machine."""

    name = "ISO 8601"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time that `value` says."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.fail(f"{value!r} is not like 2026-11-22T20:15:00+08:00", param, ctx)
        return moment


@webhooks_commands.command()
@click.option("--order-no", help="All steps of this order.")
@click.option("--since", type=_Moment(), help="All steps of all orders from this moment on.")
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
