"""The payment gateway that this application talks to."""

from flask import current_app

from app.money.gateways.alipay import AlipayGateway
from app.money.gateways.base import Gateway
from app.settings import settings


def gateway() -> Gateway:
    """The payment gateway of this application; its keys are read at first use."""
    if "saltfish.gateway" not in current_app.extensions:
        current_app.extensions["saltfish.gateway"] = AlipayGateway.from_settings(settings())
    made: Gateway = current_app.extensions["saltfish.gateway"]
    return made


def notification_url() -> str:
    """Where the gateway sends its notifications; the path is `app.cashier.views.notify`."""
    return f"{settings().base_url}/order/notify/"
