"""Starts the product on a machine that has nothing but Python: environment, engines, processes.

`python -m supervisor run` is what `make run` calls. The package starts the application by its command lines and imports
none of it but the demo logins. It needs the standard library, psutil, and the wheels that carry PostgreSQL and Valkey.
"""
