"""The release number, read by packaging and by the OpenAPI description."""

__version__ = "0.1.0"
