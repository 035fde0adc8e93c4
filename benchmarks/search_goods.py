"""Goods of the market in `search_market.toml`, titled and described as people do.

Titles have the maker's name in either script or none, models are glued or apart, some are in traditional or full-width
characters or mistyped. Among the goods are accessories, parts, rentals, wanted ads, rented homes, books and games.
Everything is seeded. What a good is made of is kept beside its text, so that queries can be graded without its words.
"""

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final

import opencc

from benchmarks.search_market import Brand, Market, Model, Thing, market

DAY: Final = 86_400
NOW: Final = 1_795_996_800
"""2026-11-30; goods are up to half a year older."""


class Role(StrEnum):
    """What a good is to the thing it names."""

    THING = "thing"
    ACCESSORY = "accessory"
    PART = "part"
    RENTAL = "rental"
    WANTED = "wanted"
    HOME = "home"
    WORK = "work"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A good, and what it is made of. `serves`: the models that an accessory or part is for, else the model itself."""

    number: int
    role: Role
    title: str
    description: str
    category: int
    price: int
    published: int
    thing: Thing | None = None
    brand: str = ""
    line: str = ""
    serves: frozenset[str] = frozenset()
    piece: str = ""
    """Which accessory or part, which kind of home, which work."""
    traits: frozenset[str] = frozenset()
    """Details, colour, size, gender, 全新, city and district."""


_CONDITIONS: Final = ("九成新", "95新", "99新", "几乎全新", "八成新", "成色很好", "自用", "闲置")
_NEW: Final = ("全新", "全新未拆", "全新未拆封", "全新带吊牌")
_TALK: Final = (
    "出",
    "转让",
    "低价出",
    "急出",
    "可小刀",
    "包邮",
    "自提",
    "同城面交",
    "搬家出",
    "学生自用",
    "诚心出",
    "便宜出",
)
_SENTENCES: Final = (
    "自用一年,功能一切正常。",
    "买来没怎么用,一直放着吃灰。",
    "因为要搬家所以出掉,价格可以小刀。",
    "有一点使用痕迹,看图,介意勿拍。",
    "当时专柜买的,发票还在。",
    "支持当面验货,同城可自提。",
    "不退不换,拍前请看清楚描述。",
    "包装盒和配件都在。",
    "默认发顺丰,偏远地区补运费。",
    "朋友送的礼物,用不上了。",
    "没有拆修过,放心入手。",
    "喜欢的直接拍,秒发货。",
    "两口之家用的,很爱惜。",
    "非诚勿扰,价格好商量。",
    "换了新的,旧的就出了。",
    "公司年会抽奖得的,闲置了。",
)
_GIFTS: Final = ("送{piece}。", "另外送一个{piece}。", "附赠{piece},不单卖。", "{piece}也一起给。")
_ELSE: Final = (
    "之前用的{other},现在换了。",
    "和{other}比各有各的好。",
    "可以换{other},补差价。",
    "准备换{other}所以出掉。",
)
_HOMES: Final = ("单间", "主卧", "一室一厅", "两室一厅", "三室一厅", "合租", "整租", "短租公寓")
_HOME_DETAILS: Final = (
    "近地铁",
    "拎包入住",
    "押一付一",
    "独立卫浴",
    "南北通透",
    "精装修",
    "可养宠物",
    "民水民电",
    "带阳台",
)
_HOME_SENTENCES: Final = (
    "家电齐全,随时看房。",
    "房东直租,没有中介费。",
    "走路五分钟到地铁。",
    "室友都是上班族,很安静。",
    "转租到明年三月,可续签。",
)
_SIZES: Final[Mapping[str, Sequence[str]]] = {
    "clothes": ("S码", "M码", "L码", "XL", "XXL", "165", "170", "175", "180", "185"),
    "women": ("S码", "M码", "L码", "XS", "均码", "155", "160", "165"),
    "shoes": ("36码", "37.5码", "38码", "39码", "40码", "41码", "42码", "42.5码", "43码", "44码"),
}
_GENDERS: Final[Mapping[str, Sequence[str]]] = {"男": ("男款", "男士", "男"), "女": ("女款", "女士", "女")}
_FASHION: Final = ("防摔", "透明", "磁吸", "卡通", "硅胶", "原装", "全新", "高清", "碳纤维", "ins风", "简约")

_ROLES: Final = (
    (Role.THING, 0.715),
    (Role.ACCESSORY, 0.125),
    (Role.PART, 0.025),
    (Role.RENTAL, 0.02),
    (Role.WANTED, 0.025),
    (Role.HOME, 0.06),
    (Role.WORK, 0.03),
)
_FOR_RENT: Final = frozenset({"相机", "镜头", "无人机", "游戏机", "运动相机", "投影仪", "帐篷", "滑雪板", "笔记本电脑"})
_WORN_OUT: Final = 0.45
"""The share of goods whose title names its details' colour or size."""


def offers(count: int, *, seed: int = 12) -> list[Offer]:
    """`count` goods, numbered from 1."""
    maker = _Maker(market(), random.Random(seed))
    return [maker.offer(number) for number in range(1, count + 1)]


class _Maker:
    """Makes goods one after another from one source of chance."""

    def __init__(self, source: Market, chance: random.Random) -> None:
        self._market = source
        self._chance = chance
        things = source.things
        # A thing with many models is traded more than one with few, and some makers sell more than others.
        self._weights = [2 + sum(1 + len(models) for models in thing.makes.values()) ** 0.8 for thing in things]
        self._with_pieces = [thing for thing in things if thing.accessories]
        self._with_parts = [thing for thing in things if thing.parts and any(thing.makes.values())]
        self._for_rent = [thing for thing in things if thing.name in _FOR_RENT]

    def offer(self, number: int) -> Offer:
        """One good."""
        roles, shares = zip(*_ROLES, strict=True)
        role = self._chance.choices(roles, shares)[0]
        makers: Mapping[Role, Callable[[int], Offer]] = {
            Role.THING: self._thing,
            Role.ACCESSORY: self._accessory,
            Role.PART: self._part,
            Role.RENTAL: self._rental,
            Role.WANTED: self._wanted,
            Role.HOME: self._home,
            Role.WORK: self._work,
        }
        return makers[role](number)

    # Words

    def _often(self, share: float) -> bool:
        return self._chance.random() < share

    def _made(
        self, things: Sequence[Thing], weights: Sequence[float] | None = None
    ) -> tuple[Thing, Brand, Model | None]:
        thing = self._chance.choices(things, weights)[0]
        names = list(thing.makes)
        name = self._chance.choices(names, [2 + len(thing.makes[each]) for each in names])[0]
        models = thing.makes[name]
        # The first models of a line are the most common.
        model = (
            self._chance.choices(models, [1 / (1 + 0.1 * place) for place in range(len(models))])[0] if models else None
        )
        return thing, self._market.brand(name), model

    def _maker_and_model(self, thing: Thing, brand: Brand, model: Model | None) -> str:
        """As titles name it: 苹果 iPhone13Pro, iphone 13 pro, 苹果13 pro."""
        makers = brand.names()
        maker = " ".join(makers) if self._often(0.12) else self._chance.choice(makers)
        if model is None:
            return maker
        name = model.name
        for begin, spoken in thing.spoken:
            if name.startswith(begin) and self._often(0.3):
                return self._written(spoken + name.removeprefix(begin))
        if not model.is_vague and self._often(0.35):
            return self._written(name)
        written = self._written(name)
        return maker + _between(maker, written, "" if self._often(0.35) else " ") + written

    def _written(self, name: str) -> str:
        """A model's name in one of the ways that people write it."""
        way = self._chance.random()
        if way < 0.3:
            name = name.replace(" ", "")
        elif way < 0.5:
            head, _, tail = name.rpartition(" ")
            name = f"{head.replace(' ', '')} {tail}" if head else name
        return name.lower() if self._often(0.25) else name

    def _joined(self, words: Sequence[str]) -> str:
        way = self._chance.random()
        if way < 0.55:
            return " ".join(words)
        title = words[0]
        for word in words[1:]:
            title += _between(title, word, "" if way < 0.8 else self._chance.choice(("", " ", ",", "|"))) + word
        return title

    def _odd(self, title: str) -> str:
        """`title` with what some titles have: traditional or full-width characters, a mistyped word, an emoji."""
        way = self._chance.random()
        if way < 0.03:
            return traditional(title)
        if way < 0.05:
            return full_width(title)
        if way < 0.08:
            words = [word for word in self._market.typos if word in title]
            if words:
                word = self._chance.choice(words)
                return title.replace(word, self._chance.choice(self._market.typos[word]), 1)
        if way < 0.12:
            return self._chance.choice("🔥✨❗🎉💰") + title
        return title

    def _about(self, thing: Thing | None, first: str) -> str:
        said = [first, *self._chance.sample(_SENTENCES, self._chance.randint(1, 4))]
        if thing is not None:
            if thing.accessories and self._often(0.2):
                said.append(self._chance.choice(_GIFTS).format(piece=self._chance.choice(thing.accessories)))
            if self._often(0.12):
                other = self._market.brand(self._chance.choice(list(thing.makes)))
                models = thing.makes[other.name]
                named = f"{other.name}{self._chance.choice(models).name}" if models else other.name
                said.append(self._chance.choice(_ELSE).format(other=named))
            if self._often(0.04):
                said.append("关键词:" + " ".join(self._chance.sample(list(self._market.brands), 5)))
        return "".join(said)

    def _published(self) -> int:
        return NOW - self._chance.randrange(180 * DAY)

    def _price(self, thing: Thing, model: Model | None) -> int:
        low, high = thing.prices
        share = _share(f"{thing.name}{model.line if model else ''}")
        usual: float = low * (high / low) ** (0.15 + 0.7 * share)
        return max(1, round(usual * self._chance.uniform(0.65, 1.4)))

    # Roles

    def _thing(self, number: int) -> Offer:
        thing, brand, model = self._made(self._market.things, self._weights)
        traits: set[str] = set()
        words = [self._maker_and_model(thing, brand, model)]
        says_thing = 0.9 if model is None or model.is_vague else 0.4 if thing.name == "手机" else 0.65
        if self._often(says_thing):
            words.append(self._chance.choices(thing.names, [3, *[1] * (len(thing.names) - 1)])[0])
        details = self._chance.sample(list(thing.details), min(len(thing.details), self._chance.choice((0, 1, 1, 2))))
        traits.update(details)
        words += details
        if thing.colours and self._often(_WORN_OUT):
            colour = self._chance.choice(thing.colours)
            traits.add(colour)
            words.append(colour)
        if thing.worn:
            words += self._worn(thing, traits)
        if self._often(0.18):
            traits.add("全新")
            condition = self._chance.choice(_NEW)
        else:
            condition = self._chance.choice(_CONDITIONS)
        if "全新" in traits or self._often(0.5):
            words.insert(self._chance.choice((0, len(words))), condition)
        if self._often(0.35):
            words.insert(self._chance.choice((0, len(words))), self._chance.choice(_TALK))
        if self._often(0.15) and thing.worn:
            self._chance.shuffle(words)
        first = f"{thing.name if self._often(0.6) else ''}{condition}。"
        return Offer(
            number=number,
            role=Role.THING,
            title=self._odd(self._joined(words))[:60],
            description=self._about(thing, first),
            category=thing.category,
            price=self._price(thing, model),
            published=self._published(),
            thing=thing,
            brand=brand.name,
            line=model.line if model else "",
            serves=frozenset({model.name} if model else ()),
            traits=frozenset(traits),
        )

    def _worn(self, thing: Thing, traits: set[str]) -> list[str]:
        words = []
        gender = "女" if thing.worn == "women" else self._chance.choice(("男", "女"))
        if self._often(0.6):
            traits.add(gender)
            words.append(self._chance.choice(_GENDERS[gender]))
        if self._often(0.75):
            size = self._chance.choice(_SIZES[thing.worn])
            traits.add(size)
            words.append(size)
        return words

    def _served(self, thing: Thing, model: Model | None, brand: Brand) -> tuple[frozenset[str], str]:
        """The models that an accessory is for, and how its title names them."""
        if model is None:
            return frozenset(), self._chance.choice(brand.names())
        models = thing.makes[brand.name]
        if len(models) > 3 and self._often(0.2):
            start = self._chance.randrange(len(models) - 2)
            served = models[start : start + 3]
            first, *others = (each.name for each in served)
            head, _, tail = first.rpartition(" ")
            named = "/".join([tail, *(other.removeprefix(f"{head} ") for other in others)])
            return frozenset(each.name for each in served), f"{brand.name}{head} {named}".replace("苹果iPhone", "苹果")
        return frozenset({model.name}), self._maker_and_model(thing, brand, model)

    def _accessory(self, number: int) -> Offer:
        thing, brand, model = self._made(self._with_pieces)
        piece = self._chance.choice(thing.accessories)
        served, named = self._served(thing, model, brand)
        words = [named, piece, *self._chance.sample(_FASHION, self._chance.randint(0, 2))]
        if self._often(0.35):
            words.insert(0, self._chance.choice(("适用", "适用于", "适配")))
        return Offer(
            number=number,
            role=Role.ACCESSORY,
            title=self._odd(self._joined(words))[:60],
            description=self._about(None, f"{piece},买错型号了。" if self._often(0.5) else "多买了一个。"),
            category=thing.category,
            price=self._chance.randint(5, max(20, thing.prices[1] // 20)),
            published=self._published(),
            thing=thing,
            brand=brand.name,
            line=model.line if model else "",
            serves=served,
            piece=piece,
        )

    def _part(self, number: int) -> Offer:
        thing, brand, model = self._made(self._with_parts)
        piece = self._chance.choice(thing.parts)
        words = [self._maker_and_model(thing, brand, model), piece]
        words.append(self._chance.choice(("拆机", "原装拆机", "维修用", "测试好")))
        return Offer(
            number=number,
            role=Role.PART,
            title=self._odd(self._joined(words))[:60],
            description=self._about(None, "拆机件,测试正常。"),
            category=thing.category,
            price=max(10, thing.prices[0] // 4 + self._chance.randrange(200)),
            published=self._published(),
            thing=thing,
            brand=brand.name,
            line=model.line if model else "",
            serves=frozenset({model.name} if model else ()),
            piece=piece,
        )

    def _rental(self, number: int) -> Offer:
        thing, brand, model = self._made(self._for_rent)
        named, name = self._maker_and_model(thing, brand, model), self._chance.choice(thing.names)
        day = self._chance.randint(20, 150)
        words = self._chance.choice(
            (
                [f"{name}出租", named, f"{day}元/天"],
                [f"出租{named}", name, "免押金"],
                [named, f"{name}租赁", "日租", "可长租"],
                [f"租{name}", named, "按天租"],
            )
        )
        return Offer(
            number=number,
            role=Role.RENTAL,
            title=self._joined(words)[:60],
            description=f"日租{day}元,三天起租,押金可免,顺丰来回。",
            category=thing.category,
            price=day,
            published=self._published(),
            thing=thing,
            brand=brand.name,
            line=model.line if model else "",
            serves=frozenset({model.name} if model else ()),
        )

    def _wanted(self, number: int) -> Offer:
        thing, brand, model = self._made(self._market.things, self._weights)
        named, name = self._maker_and_model(thing, brand, model), self._chance.choice(thing.names)
        words = self._chance.choice(
            ([f"求购{named}", name], [f"收一台{named}"], [f"收{name}", named], [f"高价回收{name}", named])
        )
        return Offer(
            number=number,
            role=Role.WANTED,
            title=self._joined(words)[:60],
            description="预算有限,有出的私聊。" + self._chance.choice(_SENTENCES),
            category=thing.category,
            price=self._price(thing, model),
            published=self._published(),
            thing=thing,
            brand=brand.name,
            line=model.line if model else "",
            serves=frozenset({model.name} if model else ()),
        )

    def _home(self, number: int) -> Offer:
        city = self._chance.choice(list(self._market.places))
        district = self._chance.choice(self._market.places[city])
        kind = self._chance.choice(_HOMES)
        place = self._chance.choice((district, f"{district}区", f"{city}{district}", f"{city}市{district}区"))
        words = [place, kind, *self._chance.sample(_HOME_DETAILS, 2)]
        words.insert(self._chance.randint(1, 2), self._chance.choice(("出租", "转租", "招租", "")))
        if self._often(0.3):
            self._chance.shuffle(words)
        return Offer(
            number=number,
            role=Role.HOME,
            title=self._odd(self._joined([word for word in words if word]))[:60],
            description=f"{city}{district},{kind}。" + "".join(self._chance.sample(_HOME_SENTENCES, 2)),
            category=3,
            price=self._chance.randint(9, 80) * 100,
            published=self._published(),
            piece=kind,
            traits=frozenset({city, district}),
        )

    def _work(self, number: int) -> Offer:
        is_game = self._often(0.5)
        work = self._chance.choice(self._market.games if is_game else self._market.books)
        said = ("switch 卡带", "ps5 光盘", "游戏") if is_game else ("正版", "书", "书籍", "教材", "二手书")
        words = [work, self._chance.choice(said), self._chance.choice(_CONDITIONS)]
        if self._often(0.4):
            words.append(self._chance.choice(_TALK))
        return Offer(
            number=number,
            role=Role.WORK,
            title=self._odd(self._joined(words))[:60],
            description=self._about(None, "玩过一次。" if is_game else "看完了,有少量笔记。"),
            category=9 if is_game else 5,
            price=self._chance.randint(8, 260),
            published=self._published(),
            piece=work,
        )


def _between(before: str, after: str, sign: str) -> str:
    """`sign`, or a space where two words in Latin letters would become one."""
    return sign or (" " if before[-1].isascii() and after[0].isascii() else "")


def _share(text: str) -> float:
    """A number from 0 to 1 that belongs to `text`."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32


@cache
def _to_traditional() -> opencc.OpenCC:
    return opencc.OpenCC("s2t")


def traditional(text: str) -> str:
    """`text` in traditional characters."""
    converted: str = _to_traditional().convert(text)
    return converted


def full_width(text: str) -> str:
    """`text` with full-width letters, digits and signs."""
    return "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in text)
