"""Machines as pictures, tables, data and SQL. All are text that depends on nothing but the spec and the language."""
