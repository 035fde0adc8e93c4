"""The rules of our own lists, made once per process, and checks by them."""

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from app.language.analysis import Analyser
from app.moderation.text.check import judge
from app.moderation.text.context import TextContext
from app.moderation.text.lexicon import Cut
from app.moderation.text.rules import Rules, RulesOfFolder
from app.moderation.verdicts import Judgement


@cache
def dictionary() -> Cut:
    """Cuts a text into words of the dictionary."""
    return Analyser(cache_dir=Path(mkdtemp())).dictionary_words


@cache
def our_rules() -> Rules:
    """The rules of our own lists."""
    return RulesOfFolder(None, cut=dictionary()).current()


def judged(text: str, context: TextContext | None = None) -> Judgement:
    """What our own rules say about a text."""
    return judge(our_rules(), [(text, context or TextContext())])[0]


def codes(text: str, context: TextContext | None = None) -> list[str]:
    """The rules that a text breaks, in the order of appearance."""
    return [hit.code for hit in judged(text, context).hits]
