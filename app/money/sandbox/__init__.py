"""A payment gateway for development: a server of its own that speaks Alipay's page-pay protocol. No real money moves.

`python -m app.money.sandbox keys --dir DIR` makes the key pairs, `python -m app.money.sandbox serve` runs it.
It shares no code with `app.money.gateways`: two sides that agree only through the protocol test each other.

What it does as Alipay does (opendocs.alipay.com, 电脑网站支付), and where it differs:

- Requests are RSA2-signed by the application and verified here; answers, returns and notifications are RSA2-signed
  by the gateway. Errors found before the application is known to be who it says are not signed.
- Notifications are for TRADE_SUCCESS alone, Alipay's default for page pay: a payment and a refund in part send one,
  a refund in full and a closed or expired trade (TRADE_CLOSED) send none.
- A notification is repeated after 4, 10, 10 minutes, 1, 2, 6 and 15 hours until the answer is `success`; a factor
  scales these waits.
- A trade exists once its cashier was opened; at Alipay, once the payer has logged in there.
- Trades stay refundable; there is no TRADE_FINISHED.
"""

DEFAULT_APP_ID = "2021000000000001"
DEFAULT_SELLER_ID = "2088000000000001"
