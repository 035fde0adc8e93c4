"""Payment gateways: the interface (`base`), Alipay (`alipay`) and its certificates (`certificates`).

The sandbox in `app.money.sandbox` is not a gateway class but a server that speaks Alipay's protocol: `AlipayGateway`
talks to it as it does to Alipay; only the URL and the keys differ.
"""
