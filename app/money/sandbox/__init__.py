"""A payment gateway for development: a server of its own that speaks Alipay's protocol. No real money moves.

`python -m app.money.sandbox keys --dir DIR` makes the key pairs, `python -m app.money.sandbox serve` runs it.
It shares no code with `app.money.gateways`: two sides that agree only through the protocol test each other.

What it does as Alipay does (opendocs.alipay.com, 电脑网站支付 and 商家转账), and where it differs:

- Requests are RSA2-signed by the application and verified here; answers, returns and notifications are RSA2-signed
  by the gateway. Errors found before the application is known to be who it says are not signed.
- Notifications are for TRADE_SUCCESS alone, Alipay's default for page pay: a payment and a refund in part send one,
  a refund in full and a closed or expired trade (TRADE_CLOSED) send none. Alipay sends that of an expired trade to who
  ordered it; what was closed by alipay.trade.close it notifies to nobody.
- A notification is repeated after 4, 10, 10 minutes, 1, 2, 6 and 15 hours until the answer is `success`; a factor
  scales these waits.
- A trade exists once its cashier was opened; at Alipay, once the payer has logged in there.
- Trades stay refundable; there is no TRADE_FINISHED.
- A transfer is paid at once, to anybody; Alipay wants certificates for it (app_cert_sn), here a key will do. How the
  accounts in `store.COURSES` and `store.REFUSED_PAYEES` end says their name: slow@example.com, and so on.
- A day's bill (业务明细) can be had while the day lasts; at Alipay, on the next day from about nine.
- What begins with /sandbox/ is not Alipay's: it shows the books to tests and demonstrations.
"""

DEFAULT_APP_ID = "2021000000000001"
DEFAULT_SELLER_ID = "2088000000000001"
