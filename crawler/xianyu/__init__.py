"""A polite crawler of publicly listed goods on 闲鱼. It stands alone: it imports nothing of Saltfish's application."""

__version__ = "1.1.0"
