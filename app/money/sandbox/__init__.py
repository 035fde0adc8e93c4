"""The sandbox: a payment gateway for development, a separate server that speaks Alipay's protocol. No real money moves.

`python -m app.money.sandbox keys --dir DIR` makes the key pairs, `python -m app.money.sandbox serve` runs it.
It shares no code with `app.money.gateways`, so that the two test each other: they only agree through the protocol.

What it does like Alipay (opendocs.alipay.com, 电脑网站支付 and 商家转账), and where it differs:

- Requests are RSA2-signed by the application and verified here; answers, returns and notifications are RSA2-signed
  by the gateway, errors too, but for an application that it does not know or a method that there is not.
- Notifications are sent for TRADE_SUCCESS only, Alipay's default for page pay: a payment and a partial refund send one;
  a full refund and a closed or expired trade (TRADE_CLOSED) send none. Alipay can notify of expired trades on request,
  and never of trades closed by alipay.trade.close.
- A notification is repeated after 4, 10, 10 minutes, 1, 2, 6 and 15 hours until the answer is `success`; a factor
  scales these waits.
- A trade exists as soon as its payment page was opened; at Alipay, once the payer has logged in there.
- Trades stay refundable; there is no TRADE_FINISHED.
- A transfer is paid at once, to any account; Alipay requires certificates for it (app_cert_sn), here a key is enough.
  Accounts with the endings in `store.SCRIPTED_TRANSFERS` and `store.REFUSED_PAYEES` (slow@example.com and so on) make
  transfers slow, or fail.
- The bill of a day (业务明细) is made on the next day at nine, in Shanghai, as at Alipay; its address holds for 30
  seconds. `/sandbox/bill` gives it during the day as well, and so does the API with SANDBOX_BILLS_AT_ONCE=1.
- URLs under /sandbox/ are not Alipay's: they show the stored data to tests and demonstrations.
"""

DEFAULT_APP_ID = "2021000000000001"
DEFAULT_SELLER_ID = "2088000000000001"
