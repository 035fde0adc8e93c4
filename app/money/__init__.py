"""Money at the payment gateway: payment rows, refunds, reconciliation, the gateways and the development sandbox."""
