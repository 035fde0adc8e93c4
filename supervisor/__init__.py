"""Starts the product on a machine that has nothing but Python: environment, engines, processes.

`python -m supervisor run` is what `make run` calls. The package knows nothing of `app` but its command lines:
it needs the standard library, psutil, and the wheels that carry PostgreSQL and Valkey.
"""
