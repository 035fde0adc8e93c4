"""A stand-in for goofish.com: a process that speaks the mtop protocol over generated markets, with faults on demand.

It knows nothing of the crawler. What a market really holds is in `market`; the answers are rendered from that.
"""
