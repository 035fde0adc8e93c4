"""The word lists as their files are now, for staff to read and search: ours, and those of the operator's folder.

The files are the truth; nothing is changed from here. What is wrong with a file of the operator is told beside it, as
`app.moderation.text.rules` goes on with the lists that it could use last.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, Literal, TypeAlias

from app.moderation.schemas import ListedWordOut, WordListOut, WordListsOut, WordQuery
from app.moderation.text import WordListError, rules_version
from app.moderation.text.folding import fold_word, fold_words, syllables_of
from app.moderation.text.word_lists import LISTS, Entry, Section, read_list
from app.moderation.texts import CATEGORY_TEXT, TEXT_KIND_TEXT
from app.moderation.verdicts import Category, Decision
from app.settings import settings

Policy: TypeAlias = Literal["reject", "review", "note", "permitted"]

POLICY_TEXT: Final[Mapping[Policy, str]] = {"reject": "拒绝", "review": "人工审核", "note": "记录", "permitted": "放行"}

_POLICY: Final[Mapping[Decision, Policy]] = {
    Decision.REJECT: "reject",
    Decision.REVIEW: "review",
    Decision.PASS: "note",
}
_SHORTEST_INSIDE: Final = 2
"""Characters of a word that is found inside of what is searched for; single ones are in everything."""
_FILES_KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class _Listed:
    """An entry with its file, and with its words as texts are compared with them.

    `syllables` has what they sound like, where that counts.
    """

    file: str
    built_in: bool
    entry: Entry
    folded: tuple[str, ...]
    syllables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Sought:
    """What is searched for: as it was written, and as the lists' words are compared with it."""

    written: str
    folded: str
    syllables: str

    @classmethod
    def of(cls, written: str) -> "_Sought":
        """Of what staff have written."""
        folded = fold_word(written)
        return cls(written, folded, syllables_of(folded))


@dataclass(frozen=True, slots=True)
class _List:
    """A file: what it holds, or what is wrong with it."""

    path: Path
    built_in: bool
    listed: tuple[_Listed, ...] = ()
    problem: str | None = None


def word_lists() -> WordListsOut:
    """Every list with the number of its words by policy, and the version of the rules that are in force."""
    folder, lists = settings().sensitive_words_path, _lists()
    problem = None
    if folder is not None and all(each.built_in for each in lists):
        problem = "文件夹不存在" if not folder.is_dir() else "文件夹里没有 .txt 文件"
    try:
        version = rules_version()
    except WordListError:  # of a process that began with lists which it could not use
        version = None
    return {
        "rules_version": version,
        "folder": None if folder is None else str(folder),
        "folder_problem": problem,
        "lists": [_list_out(each) for each in lists],
    }


def list_words(query: WordQuery) -> tuple[list[ListedWordOut], int]:
    """One page of the listed words, in the order of the files, and the total.

    `contains` finds what is listed whatever dress it is written in: words that have it inside, that are inside of it,
    or that sound like it where that counts.
    """
    sought = None if query.contains is None else _Sought.of(query.contains)
    found = [listed for each in _lists() for listed in each.listed if _is_wanted(listed, query, sought)]
    return [_word_out(each) for each in found[query.offset : query.offset + query.size]], len(found)


def listed_codes() -> frozenset[str]:
    """The codes of hits that come from words of the lists."""
    return frozenset(listed.entry.section.code for each in _lists() for listed in each.listed)


def _lists() -> list[_List]:
    folder = settings().sensitive_words_path
    own = [] if folder is None else sorted(folder.glob("*.txt"))
    return [*_built_in(), *_of_folder(own)]


@cache
def _built_in() -> tuple[_List, ...]:
    return tuple(_read(path, built_in=True) for path in sorted(LISTS.glob("*.txt")))


def _of_folder(paths: list[Path]) -> Iterator[_List]:
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:  # a link to nothing, or deleted meanwhile
            yield _List(path, built_in=False, problem=error.strerror)
            continue
        yield _read_once(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=_FILES_KEPT)
def _read_once(path: Path, _changed_at: int, _size: int) -> _List:
    """The list at `path`, read again when the file has changed."""
    return _read(path, built_in=False)


def _read(path: Path, *, built_in: bool) -> _List:
    try:
        entries = read_list(path)
    except WordListError as error:
        return _List(path, built_in, problem=str(error).removeprefix(f"{path.parent}/"))
    folds = fold_words(word.text for entry in entries for word in (*entry.words, *entry.beside))
    return _List(path, built_in, tuple(_listed(path.name, entry, folds, built_in=built_in) for entry in entries))


def _listed(file: str, entry: Entry, folds: Mapping[str, str], *, built_in: bool) -> _Listed:
    folded = tuple(folds[word.text] for word in (*entry.words, *entry.beside))
    return _Listed(file, built_in, entry, folded, tuple(map(syllables_of, folded)) if entry.section.sounds else ())


def _is_wanted(listed: _Listed, query: WordQuery, sought: _Sought | None) -> bool:
    section = listed.entry.section
    return (
        (query.category is None or section.category == query.category)
        and (query.policy is None or _policy(section) == query.policy)
        and (query.file is None or listed.file == query.file)
        and (sought is None or _is_found(listed, sought))
    )


def _is_found(listed: _Listed, sought: _Sought) -> bool:
    folded = sought.folded
    if not folded:  # nothing but signs
        return any(sought.written in word.text for word in (*listed.entry.words, *listed.entry.beside))
    if any(folded in word or (len(word) >= _SHORTEST_INSIDE and word in folded) for word in listed.folded):
        return True
    return sought.syllables in listed.syllables


def _policy(section: Section) -> Policy:
    return "permitted" if section.permitted else _POLICY[section.policy]


def _category(path: Path) -> Category | None:
    stem = path.stem.split("-", maxsplit=1)[0]
    return Category(stem) if stem in set(Category) else None


def _list_out(each: _List) -> WordListOut:
    category = _category(each.path)
    count = Counter(_policy(listed.entry.section) for listed in each.listed)
    return {
        "file": each.path.name,
        "built_in": each.built_in,
        "category": None if category is None else category.value,
        "category_text": None if category is None else CATEGORY_TEXT[category],
        "words": {policy: count[policy] for policy in POLICY_TEXT},
        "problem": each.problem,
    }


def _word_out(listed: _Listed) -> ListedWordOut:
    entry = listed.entry
    return {
        "words": [word.text for word in entry.words],
        "beside": [word.text for word in entry.beside],
        "category": entry.section.category.value,
        "category_text": CATEGORY_TEXT[entry.section.category],
        "policy": _policy(entry.section),
        "code": entry.section.code,
        "reason": entry.section.reason,
        "conditions": _conditions(entry),
        "file": listed.file,
        "built_in": listed.built_in,
    }


def _conditions(entry: Entry) -> list[str]:
    """In words, how the section is read (`app.moderation.text.word_lists`)."""
    section = entry.section
    said = []
    if section.near is not None:
        said.append(f"两边相距至多 {section.near} 字")
    if section.sounds:
        said.append("同音也算")
    if section.firm:
        said.append("书名、玩具、图片中也算")
    if section.kinds:
        said.append(f"只看{'、'.join(sorted(TEXT_KIND_TEXT[kind] for kind in section.kinds))}")
    if section.unless:
        said.append(f"旁边有这些词时不算:{' '.join(section.unless)}")
    if any(word.cuts for word in entry.words):
        said.append("截断词典里的词也算")
    return said
