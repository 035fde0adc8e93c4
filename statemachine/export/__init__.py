"""Machines as pictures, tables, data and SQL. Everything here is text that depends on the spec and language alone."""
