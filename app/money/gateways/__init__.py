"""Payment gateways: what the services ask of one (`base`), Alipay (`alipay`) and its certificates (`certificates`).

The sandbox in `app.money.sandbox` is no gateway class: it is a server that speaks Alipay's protocol, so
`AlipayGateway` talks to it as to Alipay; only the URL and the keys differ.
"""
