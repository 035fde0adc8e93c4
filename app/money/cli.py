"""The group `flask payments`; its commands stand where what they need is, in `app.orders.cli`."""

from flask.cli import AppGroup

payments_commands = AppGroup("payments", help="Payments and refunds at the gateway.")
