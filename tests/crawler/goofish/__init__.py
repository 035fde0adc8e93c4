"""A fake of goofish.com: a server that speaks the mtop protocol, with generated goods, and with faults on demand.

It imports nothing of the crawler. `generated_market` generates the goods, `answers` renders the site's answers from
them, `faults` names what can go wrong, `server` is the server, and `process` starts and controls it from a test.
"""
