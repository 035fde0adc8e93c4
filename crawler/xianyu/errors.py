"""What a person at the command line has to put right."""


class ConfigurationError(Exception):
    """The command line, a setting or a file is not usable; the message says which and why."""
