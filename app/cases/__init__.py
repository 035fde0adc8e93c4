"""Cases about money: what the gateway does not decide, or did without us. Staff read and decide them."""
