"""Ways to deal outside the platform that no list of words can name: numbers, ids, links, invitations to a messenger.

The patterns read folded texts (`folding.py`): letters and digits of any dress are plain, symbols still stand between
them. Names and words are in `data/contacts.txt`.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final, NamedTuple

from app.moderation.text.folding import DATA, fold, lines
from app.moderation.text.prefilter import Prefilter
from app.moderation.verdicts import Decision

_LEAST_DIGITS: Final = 6
"""Of a number's characters so many are digits in some dress that is no letter: 'illioil' is none."""


class Group(StrEnum):
    """What has to be in a text for some of the rules to be worth a look."""

    NUMBER = "number"
    WECHAT = "wechat"
    QQ = "qq"
    GROUP = "group"
    MESSENGER = "messenger"
    PLACE = "place"
    LINK = "link"


class Contact(NamedTuple):
    """A way of contact at `start` to `end` of the text; `name` is the last part of the rule's code."""

    start: int
    end: int
    name: str
    reason: str
    policy: Decision


@dataclass(frozen=True, slots=True)
class _Rule:
    """A pattern. `numbers` reads the text with spelled digits as digits; `accepts` looks at a match again."""

    group: Group
    name: str
    reason: str
    pattern: re.Pattern[str]
    numbers: bool = False
    policy: Decision = Decision.REJECT
    accepts: Callable[[str, re.Match[str]], bool] | None = None


def contacts_in(text: str, digits: str, groups: Collection[str]) -> Iterable[Contact]:
    """The ways of contact in one folded text, by the rules of these groups; `digits` as `Folded.digits` has it."""
    possible: list[tuple[int, str]] = []
    for reading in _readings_of(frozenset(groups)):
        written = digits if reading.numbers else text
        possible += [(reading.rules[found], written) for found in reading.prefilter.possible(written)]
    if not possible:
        return ()
    rules = _rules()
    return (  # one after the other: thousands that are kept at once make the collector of garbage run
        Contact(match.start(), match.end(), rule.name, rule.reason, rule.policy)
        for rule, written in [(rules[number], written) for number, written in sorted(possible)]
        for match in rule.pattern.finditer(written)
        if rule.accepts is None or rule.accepts(text, match)
    )


def triggers() -> dict[str, frozenset[Group]]:
    """Words (as in `Folded.squeezed`) without which a text holds none of the contacts, long numbers and signs aside."""
    words = _words()
    found: dict[str, set[Group]] = defaultdict(set)
    for name, group in _TRIGGERS.items():
        for word in words[name]:
            found["".join(filter(str.isalnum, word))].add(group)
    found.pop("", None)
    return {word: frozenset(groups) for word, groups in found.items()}


_TRIGGERS: Final = {
    "wechat": Group.WECHAT,
    "wechat short": Group.WECHAT,
    "wechat hint": Group.WECHAT,
    "qq": Group.QQ,
    "group": Group.GROUP,
    "group hint": Group.GROUP,
    "messenger": Group.MESSENGER,
    "place": Group.PLACE,
    "link hint": Group.LINK,
    "telephone": Group.NUMBER,
}
SIGN_GROUPS: Final = frozenset({Group.WECHAT, Group.QQ, Group.MESSENGER, Group.LINK})
"""The groups of rules for a text with one of the signs that contacts are written with."""

# Between the characters of one number or name: symbols, blanks, but no end of a clause.
_GAP: Final = r"(?:[^\w,:;/!?、。\n]|_){0,3}"
_LOOSE: Final = r"(?:[^\w,;!?、。\n]|_){0,4}"


def _has_digits(text: str, match: re.Match[str]) -> bool:
    written = text[match.start() : match.end()]
    plain = sum(character.isdigit() or "\u4e00" <= character <= "\u9fff" for character in written)
    return plain >= _LEAST_DIGITS


# How people group the digits of a mobile number. Other groups are sizes, focal lengths, sums (18-55 55-250 75-300).
_MOBILE_GROUPS: Final = frozenset(
    {(3, 4, 4), (3, 8), (7, 4), (4, 4, 3), (3, 3, 5), (4, 3, 4), (5, 6), (6, 5), (3, 4, 2, 2), (3, 2, 2, 2, 2)}
)
_USUAL_SEPARATORS: Final = frozenset(" -*/~.+()x\n")
_SEPARATORS_OF_SIZES: Final = frozenset("*/~x")
_RANGE_BEFORE: Final = re.compile(r"\d\s?[\-*/~.]$")
_RANGE_BEHIND: Final = re.compile(r"\s?(?:[\-*/~]\d|mm|cm|mah)")


def _is_mobile(text: str, match: re.Match[str]) -> bool:
    """Whether eleven digits are a mobile number: written in one, in its usual groups, or with signs that hide it."""
    number = match[0][match[0].index("1") :]
    separators = {character for character in number if not character.isdecimal()}
    if separators and separators <= _USUAL_SEPARATORS and not _is_grouped(text, match, number, separators):
        return False
    return _has_digits(text, match)


def _is_grouped(text: str, match: re.Match[str], number: str, separators: set[str]) -> bool:
    """Whether its digits stand in groups as people write such numbers, and it is no part of a range or size."""
    groups = tuple(map(len, re.findall(r"\d+", number)))
    if separators & _SEPARATORS_OF_SIZES:
        usual = groups == (3, 4, 4)
    else:
        usual = groups in _MOBILE_GROUPS or groups.count(1) >= 3
    return usual and not (
        _RANGE_BEFORE.search(text[max(0, match.start() - 3) : match.start()]) or _RANGE_BEHIND.match(text, match.end())
    )


# What follows a number that counts or measures something.
_UNIT: Final = (
    r"(?!\s*(?:公里|千米|km|公斤|kg|克|米|cm|mm|ml|毫|元|块|万|年|月|款|寸|英寸|mah|w\b"
    r"|件|张|个|粒|步|转|像素|枚|只|套|级|分|次))"
)


class _Parts(NamedTuple):
    """Pieces of patterns that the rules share."""

    wechat: str
    short: str
    qq: str
    group: str
    messenger: str
    place: str
    plus: str  # what is read as 加, where a word may begin with it
    of_one: str  # 加我的微信: between the verb and the name
    is_word: str  # 微信号是:  between the name and the id
    identifier: str  # with a digit or a line in it
    number: str
    behind: str
    no_short: str


# A name neither begins nor ends inside of a Latin word.
_ALONE: Final = "(?:(?<![a-z0-9])(?=[a-z])|(?=[^a-z]))"
_NO_LETTER: Final = "(?:(?<![a-z])|(?![a-z]))"
# 国家, 宜家, 附加 end with what is read as 加 elsewhere, and digits are added to.
_NOT_BEFORE_ADD: Final = "参增附更追叠外施倍新国大专宜全居回在管搬厂商买卖人当冠最成赢独店各一自二三四五六七八九十几不"


# How words and makers go on whose first letter could be a sign for 微信.
_WORDS_WITH_VW: Final = "indows?|inner|ifi|ivo|ega|olvo|ans\\d|aio|entus|ostro|oyager|acom|estern|alkman|eb|ersa|ision"


@cache
def _parts() -> _Parts:
    words = _words()
    # What may not stand before is asked behind the first character: Python finds a pattern that begins with characters
    # several times as fast.
    add = "|".join(rf"{first}(?<![{_NOT_BEFORE_ADD}\da-z]{first}){rest}" for first, rest in _by_first(words["add"]))
    return _Parts(
        wechat=_any(words["wechat"]),
        short=_any(words["wechat short"]),
        qq=_any(words["qq"]),
        group=_any(words["group"]),
        messenger=_any(words["messenger"]),
        place=_any(words["place"]),
        plus=f"(?:{add})",
        of_one=rf"{_GAP}(?:的|我|个|下|一下|你|您|本人|老板|好友|店主|客服)?{_GAP}",
        is_word=rf"{_LOOSE}(?:(?:号码?|id|hao|同号|账号|帐号|是|为|联系|搜索?|名|加我|找我|加){_LOOSE}){{0,3}}",
        identifier=(
            r"(?<![a-z0-9])(?:(?=[a-z_\-]*[0-9_])[a-z][a-z0-9_\-]{4,19}|(?=[0-9]{1,8}[a-z])[a-z0-9_]{6,20})(?![a-z0-9])"
        ),
        number=rf"\d(?:{_GAP}\d){{5,11}}(?!\d){_UNIT}",
        behind=_any(words["after name"]),
        no_short=_any(words["not short"]),
    )


@cache
def _rules() -> tuple[_Rule, ...]:
    return (*_number_rules(), *_messenger_rules(), *_place_rules())


class _Reading(NamedTuple):
    """The rules of a group, by their numbers, that read a text as it is, or that read it with digits for `numbers`."""

    group: Group
    numbers: bool
    rules: tuple[int, ...]
    prefilter: Prefilter


@cache
def _readings() -> tuple[_Reading, ...]:
    found: dict[tuple[Group, bool], list[int]] = defaultdict(list)
    for number, rule in enumerate(_rules()):
        found[rule.group, rule.numbers].append(number)
    return tuple(
        _Reading(group, numbers, tuple(rules), Prefilter(_rules()[number].pattern.pattern for number in rules))
        for (group, numbers), rules in found.items()
    )


@cache
def _readings_of(groups: frozenset[str]) -> tuple[_Reading, ...]:
    return tuple(reading for reading in _readings() if reading.group in groups)


def _number_rules() -> Iterator[_Rule]:
    """Telephones."""
    is_word = _parts().is_word
    gap = r"(?:[^\w,:;/!?、。]|_){0,3}"  # a number may go on in the next line
    mobile = rf"(?:1(?<!\d1)|8(?<!\d8)6{gap}1|\+(?<!\d\+)86{gap}1){gap}[3-9](?:{gap}\d){{9}}(?!\d)"
    yield _Rule(Group.NUMBER, "phone", "手机号码", re.compile(mobile), numbers=True, accepts=_is_mobile)
    # Of other places with the code: without it eight digits are anything.
    elsewhere = (
        rf"\+{_GAP}(?:85[23](?:{_GAP}\d){{8}}|886{_GAP}(?:0{_GAP})?9(?:{_GAP}\d){{8}}"
        r"|(?!86)[1-9]\d?\d?(?:[ \-]?\d){8,10})(?!\d)"
    )
    yield _Rule(Group.NUMBER, "phone", "手机号码", re.compile(elsewhere), numbers=True)
    area = r"0(?:10|2\d|[3-9]\d\d)"
    landline = rf"(?<![\d.])(?:\(?{area}\)?[ \-)]{{1,2}}\d{{3,4}}[ \-]?\d{{4}}|{area}[2-8]\d{{6,7}})(?!\d)"
    yield _Rule(Group.NUMBER, "landline", "固定电话", re.compile(landline), numbers=True, accepts=_has_digits)
    hotline = r"(?<![\d.])[48]00[ \-](?:\d{3}[ \-]?\d{4}|\d{4}[ \-]?\d{3})(?!\d)"
    yield _Rule(Group.NUMBER, "landline", "服务热线", re.compile(hotline))
    local = rf"(?:电话|座机|热线|致电|拨打|来电|tel){is_word}[2-8]\d{{2,3}}[ \-]?\d{{4}}(?![ \-]?\d){_UNIT}"
    yield _Rule(Group.NUMBER, "landline", "固定电话", re.compile(local), numbers=True)


def _messenger_rules() -> Iterator[_Rule]:
    """微信, QQ, groups and other messengers: a name with an id, a verb before it, or what makes it an invitation."""
    part = _parts()
    plain_id = r"(?<![a-z0-9])[a-z][a-z0-9_\-]{4,19}(?![a-z0-9])"
    no_short = rf"(?![a-z]|{_GAP}(?:{part.no_short})|\d{{1,2}}(?!\d))"
    # 十w公里 and 十v电源 are numbers with a unit, 十w abc123 is read as +w.
    not_ten = rf"(?!(?<=十){_GAP}(?:w(?!{_LOOSE}{part.identifier})|v(?:直|交|电|伏|以|转|输|的|到)))"
    named = rf"{_ALONE}(?:{part.wechat}){_NO_LETTER}"
    short = rf"{_ALONE}(?:{part.short})"
    for pattern in (
        rf"{named}{part.is_word}(?:{part.identifier}|{part.number})",
        rf"{_ALONE}(?:{part.wechat}|{part.short}){part.is_word}[:=@]{_LOOSE}{plain_id}",
        rf"{part.plus}{part.of_one}(?:{part.wechat}){_NO_LETTER}",
        rf"{part.plus}{not_ten}{part.of_one}(?:{part.short}){no_short}",
        rf"{named}{_GAP}(?:{part.behind})",
        rf"{short}{_GAP}(?:同号|同步|同电话|同手机|同(?=\W*\d)|联系|详聊|私聊|信联系|我)",
        rf"(?:私|喊|滴|有意){_GAP}(?:{part.short}){no_short}",
        r"手机号?码?就?是?(?:微信?|v|薇)|微同|电微",
        rf"{short}[\W_]{{1,3}}{part.identifier}",
        rf"{_ALONE}(?:{part.short})\s?:\s?\d{{3,}}",
        rf"(?:留下?|发我?|给我?)(?:个|你的|一下)?{_GAP}(?:{part.short}){no_short}",
        # Where it is to be read: vx 在图片里
        rf"{part.plus}{part.of_one}(?:{part.short}){_LOOSE}{part.identifier}",
        rf"{_ALONE}(?:{part.wechat}|{part.short}){_GAP}[:=]{_LOOSE}(?:同|就是|看|是)",
        rf"手机{_GAP}(?:号|号码)?同(?:{part.wechat}|{part.short})",
        rf"{named}[\W_]{{0,2}}(?:号)?(?:在|见|看)(?:图|评论|主页|简介|头像|最后|详情|照片|签名|昵称)",
        rf"(?:名字|昵称|网名|头像|简介|主页|签名|图里|图片里|图上)(?:就是|里有|里是|上有|上是|有|是)(?:个|我的?)?"
        rf"(?:{part.wechat}|{part.short}|号|联系方式)(?![a-z版领])",
        rf"(?<![a-z])(?:jia|加)\s?(?:wei|vei|vx?)\s?{part.identifier}",
        rf"(?<![a-z0-9])vv{_LOOSE}{part.identifier}",
        # Every character by itself: v.x.a.b.c.1.2
        r"(?<![a-z0-9])[vwq](?:[^\w\s]\s?[a-z0-9]){5,}(?![a-z0-9])",
    ):
        yield _Rule(Group.WECHAT, "wechat", "微信", re.compile(pattern))
    # 加Vabc123 in one, as text read in pictures has no blanks; a model may look like that (加vivox100).
    glued = rf"{part.plus}{part.of_one}[vw](?!{_WORDS_WITH_VW})(?=[a-z_\-]{{3,}}\d)[a-z0-9_\-]{{5,20}}(?![a-z0-9])"
    yield _Rule(Group.WECHAT, "wechat", "微信", re.compile(glued), policy=Decision.REVIEW)
    qq = rf"{_ALONE}(?:{part.qq})"
    yield _Rule(Group.QQ, "qq", "QQ 号", re.compile(rf"{qq}{part.is_word}{part.number}"), numbers=True)
    before = rf"(?<!\d)[1-9]\d{{5,10}}{_GAP}(?:q{{1,2}}(?![a-z])|秋秋|扣扣|抠抠|球球|企鹅)(?!糖|车|\s?公仔|\s?\d)"
    yield _Rule(Group.QQ, "qq", "QQ 号", re.compile(before), numbers=True)
    button = rf"(?<![\u4e00-\u9fff])扣{_LOOSE}(?<!\d)[1-9]\d{{5,10}}(?!\d)"
    yield _Rule(Group.QQ, "qq", "QQ 号", re.compile(button), numbers=True)
    mailbox = r"qq邮箱\D{0,8}[1-9]\d{5,10}(?!\d)"
    yield _Rule(Group.QQ, "qq", "QQ 号", re.compile(mailbox), numbers=True)
    yield _Rule(
        Group.QQ, "qq", "QQ 号", re.compile(rf"{part.plus}{part.of_one}(?:{part.qq}){_NO_LETTER}(?!\s*[弹版糖])")
    )
    yield _Rule(
        Group.QQ, "qq", "QQ 号", re.compile(rf"{_ALONE}(?:qq|扣扣|抠抠){_GAP}(?:联系|详聊|私聊|同号|号)(?!码?\s?牌)")
    )
    numbered = rf"(?:{part.group}|(?:入|进|加|拉|\+)(?:群|裙)|(?<![a-z])(?:群|裙)){part.is_word}{part.number}"
    yield _Rule(Group.GROUP, "group", "群号", re.compile(numbered), numbers=True)
    yield _Rule(
        Group.GROUP,
        "group",
        "群",
        re.compile(rf"(?<![增参附])(?:进|入|加|拉|有|拉你|\+)个?(?:{part.group})(?!\s*(?:不|勿|的))"),
    )
    entering = (
        r"(?<![增参附])(?:进|入|加|拉)[\W_]{0,2}(?:群|裙)(?:领|看|捡|聊|有|天天|福利|备注|秒|抢|享)"
        r"|(?:扫码|私信|带你|拉你)(?:进|入)(?:群|裙)"
    )
    yield _Rule(Group.GROUP, "group", "群", re.compile(entering))
    messenger = rf"{_ALONE}(?:{part.messenger}){_NO_LETTER}"
    for pattern in (
        rf"{messenger}{part.is_word}[:@]{_LOOSE}@?[\w.]{{4,}}",
        rf"{messenger}{_GAP}(?:id|号|联系|群|私聊|账号|同号)(?![a-z])",
        rf"{part.plus}{part.of_one}(?:{part.messenger}){_NO_LETTER}(?!侠)",
    ):
        yield _Rule(Group.MESSENGER, "messenger", "其他聊天软件", re.compile(pattern))
    at = rf"{_ALONE}(?:飞机|纸飞机|电报|tg|telegram|ins|推特|蝙蝠){_LOOSE}@\s?[\w.]{{2,}}"
    yield _Rule(Group.MESSENGER, "messenger", "其他聊天软件", re.compile(at))
    identified = (
        r"(?:whatsapp|telegram|skype|snapchat|蝙蝠|纸飞机|电报|钉钉|丁丁|陌陌|探探|discord"
        r"|(?<![a-z])(?:tg|line|ins|kakao))"
    )
    with_id = rf"{identified}{part.is_word}(?:{part.number}|{part.identifier})"
    yield _Rule(Group.MESSENGER, "messenger", "其他聊天软件", re.compile(with_id), numbers=True)


def _place_rules() -> Iterator[_Rule]:
    """Accounts elsewhere, addresses, links."""
    place = _parts().place
    handle = r"(?<![a-z0-9.])@[\W_]{0,2}(?:[a-z][a-z0-9_.]{3,}|[\u4e00-\u9fff]{2,8}的)"
    yield _Rule(Group.LINK, "handle", "站外账号", re.compile(handle))
    of_shop = r"(?:号|id|搜|同名|账号|帐号|私信|关注|主页|店铺名?|转账|付款)(?!码|购|验|主题|里买|上买|截图)"
    for pattern in (
        rf"(?:{place}){_GAP}{of_shop}",
        rf"(?:去|到|上|走|在|来)(?:{place}){_GAP}(?:搜|找|拍|买|下单|交易|联系|看)",
        rf"(?:{place})[\W_]{{0,3}}[\w\s]{{0,6}}(?:id|号){_LOOSE}(?=[a-z\d]*\d)[a-z\d]{{5,}}",
        rf"(?:{place}){_LOOSE}{_parts().identifier}",
        rf"(?:{place})(?:[^\w\n]{{0,2}}[\w]{{0,4}}){{0,2}}[^\w\n]{{0,2}}(?:搜索?(?!到)[^\w\n]?|找我)(?=\w)",
        rf"(?:关注|搜索?){_GAP}(?:我的?)?{_GAP}(?:{place})",
        rf"(?:公众号|公纵号|公号|视频号){_LOOSE}:{_LOOSE}\w{{2,}}",
    ):
        yield _Rule(Group.PLACE, "place", "其他平台", re.compile(pattern))
    mail = r"(?<![a-z0-9.])[a-z0-9][\w.\-]{2,40}@[a-z0-9\-]{2,30}\.[a-z]{2,6}"
    yield _Rule(Group.LINK, "mail", "电子邮箱", re.compile(mail))
    link = r"https?\s?:\s?/\s?/\s?\S{3,}|(?<![a-z0-9])www\s?\.\s?[a-z0-9\-]{2,}"
    yield _Rule(Group.LINK, "link", "站外链接", re.compile(link))
    endings = "com|cn|net|top|xyz|vip|shop|club|info|ltd|me|cc|tk|io|ly"
    bare = rf"(?<![a-z0-9.@\-])(?:[a-z0-9\-]{{1,40}}\s?[.。点]\s?){{1,3}}(?:{endings})(?![a-z0-9])"
    yield _Rule(Group.LINK, "link", "站外链接", re.compile(bare), accepts=_is_link)
    yield _Rule(Group.LINK, "token", "站外口令", re.compile(r"[¥￥$€₤₳¢](?=[a-z0-9]*[a-z])[a-z0-9]{8,14}[¥￥$€₤₳¢]"))


_BRANDS_LIKE_LINKS: Final = frozenset({"asp.net", "node.js", "jd.com", "book.me"})


def _is_link(_text: str, match: re.Match[str]) -> bool:
    found = match.group()
    return found not in _BRANDS_LIKE_LINKS and any(map(str.isalpha, found.partition(".")[0] or found))


@cache
def _words() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines(DATA / "contacts.txt"):
        name, _, listed = line.partition(":")
        found[name.strip()] += [fold([word.replace("_", " ")]).text for word in listed.split()]
    return found


def _any(listed: list[str]) -> str:
    """Any of the words, with symbols between their characters."""
    return "|".join(first + rest for first, rest in _by_first(listed))


def _by_first(listed: list[str]) -> Iterator[tuple[str, str]]:
    """Each first character of the words, and the pattern of what follows it, the longest first."""
    found: dict[str, list[str]] = defaultdict(list)
    for word in sorted(set(listed), key=len, reverse=True):
        first, *rest = map(re.escape, word)
        found[first].append("".join(rf"[^\w,;!?、。\n]{{0,2}}{character}" for character in rest))
    for first, rests in found.items():
        yield first, f"(?:{'|'.join(rests)})"
