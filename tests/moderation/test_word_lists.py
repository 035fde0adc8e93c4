"""Word lists: their form, what is wrong with one, and the operator's folder."""

import gc
from pathlib import Path

import pytest

from app.moderation.text.check import judge
from app.moderation.text.context import TextContext, TextKind
from app.moderation.text.rules import RulesOfFolder
from app.moderation.text.word_lists import LISTS, WordListError, read_list, read_lists
from app.moderation.verdicts import Category, Decision
from tests.moderation.texts import dictionary, our_rules

OWN = """
# Ours
reason: 涉嫌测试
$sell = 出售 转让
[reject]
鯨魚 龙涎香水_一瓶
[review near=4 unless=玩具 kinds=title,description named=rare]
$sell + 鲸须
[permitted]
蓝鲸鱼干
"""


class Clock:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def own_rules(folder: Path, clock: Clock | None = None) -> RulesOfFolder:
    """Our rules with the lists of a folder."""
    return RulesOfFolder(folder, cut=dictionary(), clock=clock or Clock())


def found(rules: RulesOfFolder, text: str, kind: TextKind = TextKind.TITLE) -> list[tuple[str, str, Decision]]:
    """Code, reason and policy of each hit."""
    [judgement] = judge(rules.current(), [(text, TextContext(kind=kind))])
    return [(hit.code, hit.reason, hit.policy) for hit in judgement.hits]


def test_our_lists_are_large_enough_and_each_category_has_one() -> None:
    entries = read_lists(LISTS)
    words = {word.text for entry in entries for word in (*entry.words, *entry.beside) if not entry.section.permitted}
    assert len(words) >= 1500
    assert our_rules().lexicon.spellings >= 15_000
    machines = {Category.PRICE, Category.DUPLICATE, Category.PERSONAL_DATA}  # found by other means
    assert {entry.section.category for entry in entries} == set(Category) - machines


def test_each_word_that_is_refused_is_caught() -> None:
    """No word is spoilt by the dictionary, or by a phrase that permits it."""
    listed = [
        (word.text, entry.section)
        for entry in read_lists(LISTS)
        for word in entry.words
        if entry.section.policy is Decision.REJECT and entry.section.near is None
    ]
    judgements = judge(our_rules(), [(f"有一件 {word} 。", TextContext()) for word, _ in listed])
    missed = [word for (word, _), judgement in zip(listed, judgements, strict=True) if not judgement.hits]
    assert missed == []


def test_lists_of_an_operator(tmp_path: Path) -> None:
    (tmp_path / "animals-whales.txt").write_text(OWN, encoding="utf-8")
    rules = own_rules(tmp_path)
    assert found(rules, "卖鲸鱼") == [("animals.word", "涉嫌测试:鯨魚", Decision.REJECT)]
    assert found(rules, "蓝鲸鱼干") == []
    assert found(rules, "出售 大鲸须") == [("animals.rare", "涉嫌测试:出售…鲸须", Decision.REVIEW)]
    assert found(rules, "出售 玩具 鲸须") == []
    assert found(rules, "出售 很大很大的鲸须") == []
    assert found(rules, "出售 鲸须", TextKind.BIO) == []
    assert found(rules, "高仿") == [("counterfeit.word", "涉嫌售卖假货:高仿", Decision.REJECT)]
    assert rules.current().version != our_rules().version


def test_no_collection_looks_through_what_was_read(tmp_path: Path) -> None:
    (tmp_path / "animals.txt").write_text("reason: 涉嫌测试\n[reject]\n鲸鱼\n", encoding="utf-8")
    before = gc.get_freeze_count()
    rules = own_rules(tmp_path)
    assert gc.isenabled()
    assert gc.get_freeze_count() - before > 50_000
    assert not any(each is rules.current().lexicon for each in gc.get_objects())


def test_changed_lists_are_read_again_and_bad_ones_are_not(tmp_path: Path) -> None:
    clock = Clock()
    own = tmp_path / "animals.txt"
    own.write_text("reason: 涉嫌测试\n[reject]\n鲸鱼\n", encoding="utf-8")
    rules = own_rules(tmp_path, clock)
    first = rules.current().version
    own.write_text("reason: 涉嫌测试\n[review]\n鲸鱼 独角鲸\n", encoding="utf-8")
    assert rules.current().version == first  # looked at not long ago
    clock.seconds = 3
    second = rules.current().version
    assert second != first
    assert found(rules, "独角鲸") == [("animals.word", "涉嫌测试:独角鲸", Decision.REVIEW)]
    own.write_text("no list\n", encoding="utf-8")
    clock.seconds = 6
    assert rules.current().version == second
    assert found(rules, "独角鲸") == [("animals.word", "涉嫌测试:独角鲸", Decision.REVIEW)]
    own.unlink()
    clock.seconds = 9
    assert rules.current().version == second


def test_a_file_that_is_gone_when_it_is_read_leaves_the_lists_as_they_were(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "animals.txt").write_text("reason: 涉嫌测试\n[reject]\n鲸鱼\n", encoding="utf-8")
    rules = own_rules(tmp_path, clock)
    first = rules.current().version
    link = tmp_path / "abuse.txt"
    link.symlink_to(tmp_path / "nothing")
    clock.seconds = 3
    assert rules.current().version == first
    assert found(rules, "卖鲸鱼") == [("animals.word", "涉嫌测试:鲸鱼", Decision.REJECT)]
    link.unlink()
    clock.seconds = 6
    assert rules.current().version == first
    link.symlink_to(tmp_path / "nothing")
    with pytest.raises(WordListError, match=r"abuse\.txt: cannot be read"):
        own_rules(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("own", "reason: a\n[reject]\n鲸鱼", "the file's name is none of the categories"),
        ("animals", "鲸鱼", ":1: words before the first section"),
        ("animals", "[reject]\n鲸鱼", ":1: the reason that users read comes before the first section"),
        ("animals", "reason: a\n[refuse]\n鲸鱼", ":2: 'refuse' is none of reject, review, note, permitted"),
        ("animals", "reason: a\n[reject]\n鲸鱼 ---", ":3: '---' has too few letters and digits to be a word"),
        ("animals", "reason: a\n[reject]\nv", ":3: 'v' has too few letters and digits to be a word"),
        ("animals", "reason: a\n[reject]\n鲸\uffff鱼", ":3: '鲸\\uffff鱼' has a character that no text can have"),
        ("animals", "reason: a\n[reject]\n" + "鲸" * 41, ":3: 鲸鲸鲸鲸鲸鲸鲸鲸鲸鲸… is longer than 40 characters"),
        ("animals", "reason: a\n[reject near=3]\n鲸鱼", ":3: a line of this section is: words + words"),
        ("animals", "reason: a\n[reject near=x]\n鲸鱼", ":2: 'near' is no option of a section, or its value is none"),
        ("animals", "reason: a\n[reject loud]\n鲸鱼", ":2: 'loud' is no option of a section, or its value is none"),
        ("animals", "reason: a\n[reject", ":2: '[reject' is no heading of a section"),
        ("animals", "reason: a\n[reject]\n$nothing", ":3: no set is called $nothing"),
        ("animals", "reason: a\n", "no words in files *.txt"),
    ],
)
def test_a_malformed_list_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / f"{name}.txt").write_text(content, encoding="utf-8")
    with pytest.raises(WordListError) as error:
        own_rules(tmp_path)
    assert message in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_what_is_no_text_is_no_list(tmp_path: Path) -> None:
    path = tmp_path / "animals.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WordListError, match="cannot be read"):
        read_list(path)
    with pytest.raises(WordListError, match="cannot be read"):
        read_list(tmp_path / "weapons.txt")
    with pytest.raises(WordListError, match=r"no words in files \*\.txt"):
        read_lists(tmp_path / "nowhere")
