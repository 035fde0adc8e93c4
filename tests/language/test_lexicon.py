"""The words of the trade: their files, an operator's own, and what is wrong with one."""

from collections import Counter
from pathlib import Path

import pytest

from app.language.analysis import Analyser
from app.language.lexicon import DATA, LexiconError, LexiconOfFolder, WordClass, built_in_lexicon, read_lexicon


def test_there_are_names_over_all_categories() -> None:
    counts = Counter(group.word_class for group in built_in_lexicon().groups)
    assert sum(counts[each] for each in (WordClass.BRAND, WordClass.MODEL, WordClass.THING)) >= 900
    assert sum(counts.values()) >= 1400
    for name in ("brands", "things"):
        text = (DATA / f"{name}.txt").read_text(encoding="utf-8")
        headings = [line[1] for line in text.splitlines() if line.startswith("[") and line[1].isdigit()]
        assert set(headings) >= set("12456789"), name


def test_what_a_name_says() -> None:
    lexicon = built_in_lexicon()
    [brand] = lexicon.named("优衣库")
    assert (brand.word_class, brand.names[:2]) == (WordClass.BRAND, ("优衣库", "uniqlo"))
    [series] = lexicon.named("爱疯")
    assert (series.name, series.brand, series.thing) == ("iphone", "苹果", "手机")
    [case] = lexicon.named("手机壳")
    assert (case.word_class, case.is_accessory) == (WordClass.THING, True)
    assert "跑鞋" in lexicon.named("鞋")[0].narrower
    assert "海淀" in lexicon.named("北京")[0].narrower
    assert lexicon.emoji["📱"] == "手机"
    assert "苹" in lexicon.shapes["平"]
    assert "出售" in lexicon.talk
    assert lexicon.named("没有这个名字") == ()


def own(folder: Path, name: str, text: str) -> Path:
    """A file of an operator."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_an_operator_adds_words(tmp_path: Path) -> None:
    own(tmp_path, "brands-own.txt", "# ours\n示例牌 shilipai 示例_牌\n")
    own(tmp_path, "things.txt", "漂流瓶 漂流玻璃瓶 > 许愿瓶 ~ 花瓶\n")
    own(tmp_path, "places.txt", "雄县: 昝岗 米家务\n")
    own(tmp_path, "talk.txt", "老铁 呀嘿\n")
    lexicon = read_lexicon(tmp_path)
    assert lexicon.named("示例 牌")[0].name == "示例牌"
    assert (lexicon.named("漂流瓶")[0].narrower, lexicon.named("漂流瓶")[0].near) == (("许愿瓶",), ("花瓶",))
    assert lexicon.named("雄县")[0].narrower == ("昝岗", "米家务")
    assert "老铁" in lexicon.talk
    assert lexicon.version != built_in_lexicon().version
    assert lexicon.named("优衣库") == built_in_lexicon().named("优衣库")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("kinds.txt", "x y", "the file's name is none of brands, "),
        ("brands.txt", "ok\n!!! ???\n~ x", ":3: a line begins with a name"),
        ("things.txt", "> x", ":1: a line begins with a name"),
        ("things.txt", "!!!", ":1: '!!!' has no letter and no digit"),
        ("models.txt", "苹果 iphone", ":1: a line is: brand | thing | names"),
        ("models.txt", "苹果 | | iphone", ":1: a line is: brand | thing | names"),
        ("places.txt", "# x\n北京 海淀", ":2: a line is: city: places"),
        ("signs.txt", "相机", ":1: a line is: thing: words"),
        ("emoji.txt", "📱 手机 电话", ":1: a line is: sign word"),
        ("shapes.txt", "平", ":1: a line has two characters at least"),
        ("talk.txt", "字" * 41, ":1: 字字字字字字字字字字… is longer than 40 characters"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(tmp_path: Path, name: str, text: str, problem: str) -> None:
    path = own(tmp_path, name, text)
    with pytest.raises(LexiconError) as caught:
        read_lexicon(tmp_path)
    assert str(caught.value).startswith(str(path))
    assert problem in str(caught.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "brands.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LexiconError, match="cannot be read"):
        read_lexicon(tmp_path)


def test_changes_are_read_while_running_and_bad_ones_are_not_taken(tmp_path: Path) -> None:
    seconds = [0.0]
    words = LexiconOfFolder(tmp_path, clock=lambda: seconds[0])
    assert words.current().named("示例牌") == ()
    own(tmp_path, "brands.txt", "示例牌")
    assert words.current().named("示例牌") == ()  # looked at every two seconds
    seconds[0] = 2.0
    taken = words.current()
    assert taken.named("示例牌")[0].word_class is WordClass.BRAND
    own(tmp_path, "models.txt", "not a model")
    seconds[0] = 4.0
    assert words.current() is taken
    own(tmp_path, "models.txt", "- | - | 示例型号")
    seconds[0] = 6.0
    assert words.current().named("示例型号")[0].word_class is WordClass.MODEL


def test_a_file_that_is_gone_when_it_is_read_leaves_the_words_as_they_were(tmp_path: Path) -> None:
    seconds = [0.0]
    own(tmp_path, "brands.txt", "示例牌")
    words = LexiconOfFolder(tmp_path, clock=lambda: seconds[0])
    taken = words.current()
    (tmp_path / "models.txt").symlink_to(tmp_path / "nothing")
    seconds[0] = 2.0
    assert words.current() is taken


def test_the_analyser_takes_new_words(tmp_path: Path) -> None:
    seconds = [0.0]
    words = LexiconOfFolder(tmp_path, clock=lambda: seconds[0])
    analyser = Analyser(cache_dir=tmp_path / "jieba", lexicon=words.current)
    assert [token.text for token in analyser.query_tokens("示例牌漂流瓶")] == ["示例", "牌", "漂流瓶"]
    own(tmp_path, "brands.txt", "示例牌")
    seconds[0] = 2.0
    assert [token.text for token in analyser.query_tokens("示例牌漂流瓶")] == ["示例牌", "漂流瓶"]
