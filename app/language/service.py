"""The application's analyser, with the words of the trade and the operator's own."""

from flask import current_app

from app.language.analysis import Analyser
from app.language.lexicon import LexiconOfFolder, built_in_lexicon
from app.settings import settings


def analyser() -> Analyser:
    """The application's one analyser in this process; made when first used, and so after any fork.

    Raises `LexiconError` where the operator's words cannot be used from the beginning.
    """
    extensions = current_app.extensions
    if "saltfish.analyser" not in extensions:
        cache_dir, folder = settings().search_index_path / "jieba", settings().search_words_path
        lexicon = built_in_lexicon if folder is None else LexiconOfFolder(folder).current
        extensions["saltfish.analyser"] = Analyser(cache_dir=cache_dir, lexicon=lexicon)
    found: Analyser = extensions["saltfish.analyser"]
    return found
