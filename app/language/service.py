"""The application's analyser."""

from flask import current_app

from app.language.analysis import Analyser
from app.settings import settings


def analyser() -> Analyser:
    """The application's one analyser in this process; made when first used, and so after any fork."""
    extensions = current_app.extensions
    if "saltfish.analyser" not in extensions:
        cache_dir = settings().search_index_path / "jieba"
        extensions["saltfish.analyser"] = Analyser(cache_dir=cache_dir)
    found: Analyser = extensions["saltfish.analyser"]
    return found
