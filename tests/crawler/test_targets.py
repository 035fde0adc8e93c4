"""The file of searches: what it may hold, and that every invalid line is reported."""

import pytest
from xianyu.errors import ConfigurationError
from xianyu.targets import MAX_KEYWORD_LENGTH, MAX_LABEL_LENGTH, Target, parse_targets, read_targets


def targets(text: str) -> list[Target]:
    return parse_targets(text.encode(), name="searches.txt")


def refusal(content: bytes) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_targets(content, name="searches.txt")
    return str(caught.value)


def test_keywords_labels_categories_and_comments():
    text = "# phones\n\niPhone 15\t手机\n  富士 X100V  \n#富士\ncategory: 乐器\nC# 编程书\t图书\n"
    assert targets(text) == [
        Target("iPhone 15", "手机"),
        Target("富士 X100V", None),
        Target("乐器", "乐器"),
        Target("C# 编程书", "图书"),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", ["", "end"])
def test_files_of_other_editors(mark, end, last):
    text = mark + end.join(["相机\t数码", "", "# x", "吉他"]) + (end if last else "")
    assert targets(text) == [Target("相机", "数码"), Target("吉他", None)]


@pytest.mark.parametrize(
    "line", ["category: 手机", "category：手机", "category:手机", "Category : 手机", " category:\u3000手机 "]
)
def test_ways_to_write_a_category(line):
    assert targets(line) == [Target("手机", "手机")]


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("iPhone   15 \u3000 Pro", Target("iPhone 15 Pro", None)),
        ("相机\t\t\t数码", Target("相机", "数码")),
        ("相机 \t 数码 产品 ", Target("相机", "数码 产品")),
        ("相机\t", Target("相机", None)),
        ("category", Target("category", None)),
        ("索尼: A7", Target("索尼: A7", None)),
        ("emoji 😀", Target("emoji 😀", None)),
        ("字" * MAX_KEYWORD_LENGTH, Target("字" * MAX_KEYWORD_LENGTH, None)),
        ("k\t" + "字" * MAX_LABEL_LENGTH, Target("k", "字" * MAX_LABEL_LENGTH)),
    ],
)
def test_blanks_do_not_matter_and_the_rest_stays(line, target):
    assert targets(line) == [target]


def test_a_label_without_a_keyword_is_no_search():
    why = "is not a keyword and, after a tab, a category"
    assert refusal("\t手机\n相机\n \t数码\n".encode()) == f"searches.txt: line 1 {why}; line 3 {why}"


def test_repeated_searches_count_once():
    assert targets("相机\t数码\n吉他\n相机 \t 数码\ncategory: 吉 他\ncategory：吉 他\n") == [
        Target("相机", "数码"),
        Target("吉他", None),
        Target("吉 他", "吉 他"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "searches.txt: no search in it; write one keyword on a line"),
        ("# nothing\n\n\ufeff".encode()[:-3], "searches.txt: no search in it; write one keyword on a line"),
        (b"a\x00b", "searches.txt: line 1 has a control character in its keyword"),
        (b"a\tb\x1bc", "searches.txt: line 1 has a control character in its category"),
        (b"a\tb\tc", "searches.txt: line 1 is not a keyword and, after a tab, a category"),
        (b"category:", "searches.txt: line 1 names no category"),
        (b"category: a\tb", "searches.txt: line 1 has a label after its category, which is one itself"),
        (
            b"x\n" + b"k" * (MAX_KEYWORD_LENGTH + 1),
            "searches.txt: line 2 has a keyword of 101 characters; 100 are allowed",
        ),
        (
            b"x\t" + b"k" * (MAX_LABEL_LENGTH + 1),
            "searches.txt: line 1 has a category of 51 characters; 50 are allowed",
        ),
        (
            "相机\t数码\n\n相机".encode(),
            "searches.txt: line 3 searches for the keyword of line 1 under another category",
        ),
        ("相机".encode("gbk"), "searches.txt: line 1 is not UTF-8"),
        (
            b"ok\r\n\xff\r\n# \xff\r\na\x00\r\nok too\r\n",
            "searches.txt: line 2 is not UTF-8; line 3 is not UTF-8; line 4 has a control character in its keyword",
        ),
    ],
)
def test_every_invalid_line_is_reported(content, message):
    assert refusal(content) == message


def test_utf16_is_refused():
    assert refusal("\ufeff相机\r\n".encode("utf-16-le")).startswith("searches.txt: line 1 is not UTF-8")


def test_a_file_is_read(tmp_path):
    path = tmp_path / "searches.txt"
    path.write_text("相机\t数码\n", "utf-8")
    assert read_targets(path) == [Target("相机", "数码")]


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigurationError) as missing:
        read_targets(tmp_path / "none.txt")
    assert str(missing.value) == f"cannot read the searches in {tmp_path / 'none.txt'}: No such file or directory"
    with pytest.raises(ConfigurationError) as folder:
        read_targets(tmp_path)
    assert str(folder.value) == f"cannot read the searches in {tmp_path}: Is a directory"
