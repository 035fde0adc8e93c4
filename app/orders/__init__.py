"""Orders: buying, shipping, receiving, refunds and returns, driven by the order machine."""
