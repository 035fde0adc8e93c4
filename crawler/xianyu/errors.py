"""The error that the operator can correct."""


class ConfigurationError(Exception):
    """The command line, a setting or a file is not usable; the message says which and why."""
