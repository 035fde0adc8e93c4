"""Queries as people type them, kind by kind, with what they mean.

Each kind is a function that gives many queries; `benchmarks.search_corpus` takes some of them and grades the goods. The
words are those of `search_market.toml`.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.search_goods import Offer, Role, full_width, traditional
from benchmarks.search_market import Brand, Model, Thing, market


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a query asks for; what is empty does not matter."""

    role: Role = Role.THING
    things: Sequence[Thing] = ()
    near: Sequence[Thing] = ()
    """Things that are something like it: 运动相机 for 相机."""
    brand: str = ""
    line: str = ""
    model: str = ""
    piece: str = ""
    traits: frozenset[str] = frozenset()
    price: tuple[int, int] | None = None
    words: str = ""
    """Letters that the title must have, in any case and spacing; alone they are enough."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query before it is graded. `form` is the surface form that it tries."""

    text: str
    form: str
    meaning: Meaning


Kind = Callable[[random.Random, Sequence[Offer]], Iterator[Asked]]
"""Gives the queries of a kind; the goods are for those that quote them."""


def packed(text: str) -> str:
    """`text` for comparing letters: in lower case, without spaces."""
    return re.sub(r"\s", "", text).lower()


# What can be asked for


def _things_called(name: str) -> Meaning:
    """All things with that name; near are those whose name ends with it (电吉他 for 吉他)."""
    things = market().things
    exact = [thing for thing in things if name in thing.names]
    near = [thing for thing in things if thing not in exact and any(each.endswith(name) for each in thing.names)]
    return Meaning(things=exact, near=near)


def _made() -> Iterator[tuple[Thing, Brand]]:
    for thing in market().things:
        for name in thing.makes:
            yield thing, market().brand(name)


def _models() -> Iterator[tuple[Thing, Brand, Model]]:
    for thing, brand in _made():
        for model in thing.makes[brand.name]:
            yield thing, brand, model


def _of_model(thing: Thing, brand: Brand, model: Model, *, says_brand: bool) -> Meaning:
    return Meaning(
        things=(thing,), line=model.line, model=model.name, brand=brand.name if says_brand or model.is_vague else ""
    )


def _typed(brand: Brand, model: Model, chance: random.Random) -> str:
    """A model as a user types it, with the maker's name where it says nothing alone."""
    name = model.name if chance.random() < 0.5 else model.name.lower()
    if model.is_vague or chance.random() < 0.3:
        return f"{chance.choice(brand.names())} {name}"
    return name


def _of_brand(thing: Thing, brand: Brand, name: str) -> Meaning:
    return replace(_things_called(name), brand=brand.name) if name in thing.names else Meaning(things=(thing,))


# Kinds


def _model(chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing, brand, model in _models():
        text = _typed(brand, model, chance)
        yield Asked(text, model.name, _of_model(thing, brand, model, says_brand=" " in text and text != model.name))


def _model_glued(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing, brand, model in _models():
        glued = packed(model.name)
        if model.is_vague:
            yield Asked(packed(brand.name) + glued, model.name, _of_model(thing, brand, model, says_brand=True))
        elif glued != model.name.lower():
            yield Asked(glued, model.name, _of_model(thing, brand, model, says_brand=False))


def _model_spaced(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing, brand, model in _models():
        spaced = re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", " ", model.name.lower())
        if spaced != model.name.lower() and not model.is_vague:
            yield Asked(spaced, model.name, _of_model(thing, brand, model, says_brand=False))


def _model_reordered(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing, brand, model in _models():
        words = model.name.lower().split()
        if len(words) > 1 and not model.is_vague:
            meaning = _of_model(thing, brand, model, says_brand=True)
            yield Asked(" ".join([*reversed(words), brand.name]), model.name, meaning)


def _model_and_detail(chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing, brand, model in _models():
        if thing.details:
            detail = chance.choice(thing.details)
            meaning = _of_model(thing, brand, model, says_brand=True)
            text = f"{brand.name}{model.name} {detail}"
            yield Asked(text, model.name, replace(meaning, traits=frozenset({detail})))


def _brand_thing(chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing, brand in _made():
        maker, name = chance.choice(brand.names()), chance.choice(thing.names)
        text = maker + chance.choice((" ", "", "的")) + name
        yield Asked(text, f"{brand.name}{thing.name}", _of_brand(thing, brand, name))


def _thing(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing in market().things:
        yield Asked(thing.name, thing.name, _things_called(thing.name))


def _other_name(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing in market().things:
        for name in thing.names[1:]:
            meaning = _things_called(name)
            yield Asked(name, name, meaning)
            for brand in list(thing.makes)[:2]:
                yield Asked(f"{brand} {name}", name, replace(meaning, brand=brand))


def _brand_alone(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for name in {brand.name: None for _, brand in _made()}:
        for written in market().brand(name).names():
            yield Asked(written, written, Meaning(brand=name))


def _slang(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing, brand in _made():
        for slang in brand.slang:
            yield Asked(f"{slang}{thing.name}", slang, _of_brand(thing, brand, thing.name))
            for model in thing.makes[brand.name][:2]:
                if model.name[0].isdigit() or thing.name == "手机":
                    name = model.name.removeprefix("iPhone ")
                    yield Asked(f"{slang}{name}", slang, _of_model(thing, brand, model, says_brand=True))


def _alias(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing, brand, model in _models():
        for alias in market().aliases.get(model.name, ()):
            meaning = _of_model(thing, brand, model, says_brand=False)
            yield Asked(alias, alias, meaning)
            yield Asked(f"{alias} {thing.name}", alias, meaning)
            yield Asked(alias.upper() if alias.isascii() else f"{alias}二手", alias, meaning)


def _full_width(chance: random.Random, goods: Sequence[Offer]) -> Iterator[Asked]:
    for asked in (*_model(chance, goods), *_brand_thing(chance, goods)):
        text = full_width(asked.text)
        if text != asked.text:
            yield replace(asked, text=text)


def _traditional(chance: random.Random, goods: Sequence[Offer]) -> Iterator[Asked]:
    for asked in (*_brand_thing(chance, goods), *_other_name(chance, goods), *_thing(chance, goods)):
        text = traditional(asked.text)
        if text != asked.text:
            yield replace(asked, text=text)


def _latin_typo(chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for word, mistyped in market().typos.items():
        if not word.isascii():
            continue
        for typo in mistyped:
            for thing, brand, model in _models():
                if word.lower() in model.name.lower().split():
                    text = model.name.lower().replace(word.lower(), typo)
                    yield Asked(text, typo, _of_model(thing, brand, model, says_brand=False))
            for thing, brand in _made():
                if word.lower() == brand.latin.lower():
                    yield Asked(f"{typo} {thing.name}", typo, _of_brand(thing, brand, thing.name))
    for thing, brand in _made():
        if len(brand.latin) > 4 and brand.latin.isalpha():
            typo = _mistyped(brand.latin.lower(), chance)
            yield Asked(f"{typo} {thing.name}", typo, _of_brand(thing, brand, thing.name))


def _mistyped(word: str, chance: random.Random) -> str:
    """A word with one edit, not in its first letter: a swap, a letter left out, doubled or replaced."""
    place = chance.randrange(1, len(word) - 1)
    before, letter, after = word[:place], word[place], word[place + 1 :]
    rows = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
    row = next(each for each in rows if letter in each)
    neighbour = row[row.index(letter) - 1] if letter != row[0] else row[1]
    return chance.choice(
        (
            f"{before}{after[0]}{letter}{after[1:]}",
            before + after,
            f"{before}{letter}{letter}{after}",
            before + neighbour + after,
        )
    )


def _chinese_typo(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for word, mistyped in market().typos.items():
        if word.isascii():
            continue
        for typo in mistyped:
            for thing in market().things:
                if word in thing.names:
                    yield Asked(typo, typo, _things_called(word))
            for thing, brand in _made():
                if word in thing.names:
                    yield Asked(f"{brand.name}{typo}", typo, replace(_things_called(word), brand=brand.name))
                if word == brand.name:
                    yield Asked(f"{typo}{thing.name}", typo, _of_brand(thing, brand, thing.name))
                    yield Asked(f"{typo} {thing.name}", typo, _of_brand(thing, brand, thing.name))


def _pinyin(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing in market().things:
        if " " in thing.pinyin:
            meaning = _spoken(thing)
            yield Asked(packed(thing.pinyin), thing.pinyin, meaning)
            yield Asked(thing.pinyin, thing.pinyin, meaning)


def _spoken(thing: Thing) -> Meaning:
    """A thing by its pinyin, which is not always that of its first name (机械表: ji xie biao)."""
    named = [name for name in thing.names if len(name) == len(thing.pinyin.split())]
    return _things_called(named[0]) if named else Meaning(things=(thing,))


def _initials(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    by_initials: dict[str, list[Thing]] = {}
    for thing in market().things:
        if " " in thing.pinyin:
            by_initials.setdefault("".join(each[0] for each in thing.pinyin.split()), []).append(thing)
    for initials, things in by_initials.items():
        if len(initials) > 2 or initials in _SHORT_INITIALS:
            yield Asked(initials, initials, Meaning(things=things))


_SHORT_INITIALS: Final = frozenset({"sj", "kt", "bx", "xj", "ej", "sf", "xk", "td", "yp", "gq", "jt", "kh"})
"""Of the initials of two letters, those that people do type; the others rather mean something else."""


def _mixed_pinyin(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing, brand in _made():
        if " " in thing.pinyin and brand.latin:
            meaning = replace(_spoken(thing), brand=brand.name)
            yield Asked(f"{brand.latin.lower()} {packed(thing.pinyin)}", f"{brand.latin}{thing.pinyin}", meaning)
        if thing.worn == "shoes" and brand.latin:
            shoes = [each for each in market().things if each.worn == "shoes"]
            yield Asked(f"{brand.latin.lower()} xie", f"{brand.latin} xie", Meaning(things=shoes, brand=brand.name))


def _pieces(role: Role) -> Kind:
    def ask(chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
        for thing, brand, model in _models():
            pieces = thing.accessories if role is Role.ACCESSORY else thing.parts
            if pieces:
                piece = chance.choice(pieces)
                text = f"{_typed(brand, model, chance)}{chance.choice((' ', ''))}{piece}"
                meaning = _of_model(thing, brand, model, says_brand=False)
                yield Asked(text, f"{model.name}{piece}", replace(meaning, role=role, piece=piece))

    return ask


_DRESSED: Final = (
    "iPhone",
    "iPad",
    "AirPods",
    "Switch",
    "PS5",
    "PS4",
    "Kindle",
    "Watch",
    "V8",
    "V10",
    "V12",
    "Mini",
    "A7",
)
"""Beginnings of models for which more accessories are sold than of themselves."""


def _not_its_accessory(chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing, brand, model in _models():
        if model.name.startswith(_DRESSED):
            name = chance.choice((model.name, model.name.lower(), packed(model.name)))
            text = f"{brand.name}{name}" if model.is_vague else name
            yield Asked(text, model.name, _of_model(thing, brand, model, says_brand=False))


_PRICES: Final[Sequence[tuple[str, Callable[[int, int], tuple[int, int]]]]] = (
    ("{thing} {high}以内", lambda _low, high: (0, high)),
    ("{high}以下{thing}", lambda _low, high: (0, high)),
    ("{high}元以内的{thing}", lambda _low, high: (0, high)),
    ("{thing}{low}-{high}", lambda low, high: (low, high)),
    ("{thing} {low}到{high}", lambda low, high: (low, high)),
    ("{low}~{high} {thing}", lambda low, high: (low, high)),
    ("{thing} {low}以上", lambda low, _high: (low, 10**9)),
    ("不超过{high}的{thing}", lambda _low, high: (0, high)),
    ("{thing} {high}块以下", lambda _low, high: (0, high)),
)


def _price_words(chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing in market().things:
        for number, (words, limits) in enumerate(_PRICES):
            low, high = (_round_price(thing, share) for share in (0.3, 0.7))
            if low < high:
                meaning = replace(_things_called(thing.name), price=limits(low, high))
                text = words.format(thing=thing.name, low=low, high=high)
                if chance.random() < 0.4:
                    yield Asked(text, f"{thing.name}{number}", meaning)


def _round_price(thing: Thing, share: float) -> int:
    """A round price within those of a thing, with one digit that is not 0."""
    low, high = thing.prices
    price: float = low * (high / low) ** share
    scale: int = 10 ** (len(str(int(price))) - 1)
    return round(price / scale) * scale


_SAID: Final = (
    "有没有{}", "出售{}", "转让{}", "二手{}", "便宜的{}", "想买个{}", "想要一个{}", "求推荐{}", "谁有{}出",
    "{} 便宜", "{}转让", "二手 {} 出售", "找{}", "我想买{}", "哪里有{}", "便宜 {} 二手", "{} 有吗", "{}多少钱",
    "急需{}", "要一个二手的{}",
)  # fmt: skip


def _talk(chance: random.Random, goods: Sequence[Offer]) -> Iterator[Asked]:
    for asked in (*_thing(chance, goods), *_brand_thing(chance, goods)):
        words = chance.choice(_SAID)
        yield Asked(words.format(asked.text), f"{words}{asked.text}", asked.meaning)


def _extra_words(chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing, brand in _made():
        if thing.worn:
            size = chance.choice(
                ("M码", "L码")
                if thing.worn == "women"
                else ("42码",)
                if thing.worn == "shoes"
                else ("175", "180", "XL")
            )
            gender = "女" if thing.worn == "women" else chance.choice(("男", "女"))
            colour = chance.choice(thing.colours)
            yield Asked(
                f"{thing.name} {gender} {size}",
                f"{thing.name}{size}",
                replace(_things_called(thing.name), traits=frozenset({gender, size})),
            )
            meaning = replace(_of_brand(thing, brand, thing.name), traits=frozenset({gender, colour}))
            yield Asked(f"{brand.name} {thing.name} {gender} {colour}", f"{brand.name}{thing.name}{colour}", meaning)
        elif len(thing.details) > 1:
            first, second = chance.sample(list(thing.details), 2)
            meaning = replace(_of_brand(thing, brand, thing.name), traits=frozenset({first}))
            yield Asked(f"{brand.name} {thing.name} {first} 九成新 学生", f"{brand.name}{thing.name}{first}", meaning)
            meaning = replace(_things_called(thing.name), traits=frozenset({first, second}))
            yield Asked(f"{thing.name} {first} {second}", f"{thing.name}{first}{second}", meaning)


def _size_gender(chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    worn = {
        "鞋": [thing for thing in market().things if thing.worn == "shoes"],
        "装": [thing for thing in market().things if thing.worn == "clothes"],
    }
    for gender in "男女":
        yield Asked(f"{gender}鞋", f"{gender}鞋", Meaning(things=worn["鞋"], traits=frozenset({gender})))
        for size in ("38码", "40码", "42码", "43码"):
            meaning = Meaning(things=worn["鞋"], traits=frozenset({gender, size}))
            yield Asked(f"{gender}鞋 {size}", f"{gender}鞋{size}", meaning)
    for thing in market().things:
        if thing.worn:
            for size in ("M码", "L码", "XL", "180", "42码", "38码", "41码"):
                meaning = replace(_things_called(thing.name), traits=frozenset({size}))
                yield Asked(f"{thing.name}{chance.choice((' ', ''))}{size.lower()}", f"{thing.name}{size}", meaning)
            gender = "女" if thing.worn == "women" else chance.choice(("男", "女"))
            meaning = replace(_things_called(thing.name), traits=frozenset({gender}))
            yield Asked(f"{gender}{chance.choice(('款', '士', ''))}{thing.name}", f"{gender}{thing.name}", meaning)


def _condition(chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing, brand, model in _models():
        word = chance.choice(("全新", "全新未拆封", "未拆封", "全新的"))
        meaning = replace(_of_model(thing, brand, model, says_brand=False), traits=frozenset({"全新"}))
        name = f"{brand.name} {model.name}" if model.is_vague else model.name
        yield Asked(f"{word}{chance.choice((' ', ''))}{name}", f"{word}{model.name}", meaning)


def _place(chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for city, districts in market().places.items():
        yield Asked(f"{city}租房", f"{city}租房", Meaning(role=Role.HOME, traits=frozenset({city})))
        for district in districts:
            meaning = Meaning(role=Role.HOME, traits=frozenset({district}))
            yield Asked(f"{district}租房", f"{district}租房", meaning)
            kind = chance.choice(("单间", "主卧", "一室一厅", "两室一厅", "合租", "整租"))
            place = chance.choice((district, f"{district}区", f"{city}{district}"))
            yield Asked(f"{place}{chance.choice((' ', ''))}{kind}", f"{district}{kind}", replace(meaning, piece=kind))


_NUMERALS: Final = "零一二三四五六七八九"


def chinese_number(number: int) -> str:
    """A number below 100 as it is spoken: 14 is 十四."""
    tens, ones = divmod(number, 10)
    return (
        ("" if tens < 2 else _NUMERALS[tens]) + ("十" if tens else "") + (_NUMERALS[ones] if ones or not tens else "")
    )


def _numerals(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing, brand, model in _models():
        if thing.name != "手机" or brand.name not in {"苹果", "华为", "小米", "红米", "一加"}:
            continue
        spoken = re.sub(r"(?<!\d)\d{1,2}(?!\d)", lambda found: chinese_number(int(found[0])), model.name)
        if spoken != model.name:
            spoken = spoken.replace("iPhone ", "")
            yield Asked(f"{brand.name}{packed(spoken)}", model.name, _of_model(thing, brand, model, says_brand=True))


_UNITS: Final = re.compile(r"\d+(?:\.\d+)?(?:匹|寸|ml|公斤|kg|升|L|米|毫安|W|Hz|V|公里|码|克|cm|键|T|G)$")
_UNITS_ALSO: Final = {
    "匹": "p",
    "寸": "英寸",
    "公斤": "kg",
    "kg": "公斤",
    "毫安": "mah",
    "升": "l",
    "L": "升",
    "ml": "毫升",
}


def _units(chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing in market().things:
        for detail in thing.details:
            if not _UNITS.fullmatch(detail):
                continue
            meaning = replace(_things_called(thing.name), traits=frozenset({detail}))
            yield Asked(f"{detail} {thing.name}", f"{thing.name}{detail}", meaning)
            yield Asked(f"{thing.name}{detail.lower()}", f"{thing.name}{detail}", meaning)
            for unit, other in _UNITS_ALSO.items():
                if detail.endswith(unit) and chance.random() < 0.5:
                    text = f"{detail.removesuffix(unit)}{other}{thing.name}"
                    yield Asked(text, f"{thing.name}{detail}{other}", meaning)


def _codes(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for work, text in (
        ("C++ Primer", "C++"),
        ("C++ Primer", "c++ primer"),
        ("C# 入门经典", "C#"),
        ("C# 入门经典", "c# 入门"),
    ):
        yield Asked(text, text, Meaning(role=Role.WORK, piece=work))
    for thing, brand, model in _models():
        if thing.name in {"显卡", "处理器", "镜头"}:
            code = model.name.split(maxsplit=1)[-1] if thing.name != "镜头" else model.name
            named = f"{brand.name}{code.lower()}" if thing.name == "镜头" else packed(code)
            if any(letter.isalpha() for letter in packed(code)):
                meaning = _of_model(thing, brand, model, says_brand=thing.name == "镜头")
                yield Asked(named, model.name, replace(meaning, brand=meaning.brand if thing.name == "镜头" else ""))
    for aperture in ("F1.8", "F1.4", "F2.8", "F4", "F2"):
        for brand_name in ("索尼", "佳能", "尼康", "适马", "富士", "腾龙"):
            meaning = Meaning(words=packed(aperture))
            if brand_name == "索尼":
                yield Asked(f"{aperture.lower()} 镜头", aperture, meaning)


def _stop_words(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for work in (*market().books, *market().games):
        yield Asked(work, work, Meaning(role=Role.WORK, piece=work))
        first = work.split()[0]
        if len(first) > 1 and not first.isascii():
            yield Asked(first, first, Meaning(role=Role.WORK, piece=first))


def _literal_title(chance: random.Random, goods: Sequence[Offer]) -> Iterator[Asked]:
    for offer in chance.sample(list(goods), min(len(goods), 400)):
        if offer.role in (Role.THING, Role.HOME, Role.WORK) and len(offer.title) > 5:
            model = next(iter(offer.serves), "")
            things = (offer.thing,) if offer.thing else ()
            meaning = Meaning(role=offer.role, things=things, model=model, words=packed(offer.title))
            yield Asked(offer.title, offer.title, meaning)


_HARD_TO_SEGMENT: Final = (
    "托特包", "天梭", "拉布布", "高达", "笔记本", "千年隼", "浪琴", "卡西欧", "斯伯丁", "尤尼克斯", "龟背竹",
    "琴叶榕", "牛高达", "科颜氏", "小棕瓶", "红腰子", "天斧", "拯救者", "外星人", "暗影精灵", "独角兽",
    "沙扎比", "擎天柱", "蓝风铃", "英国梨", "凯乐石", "牧高笛", "挪客", "赫曼米勒", "西昊", "索德汉", "克利帕",
    "力洛克", "妙控键盘", "炼狱蝰蛇", "猎魂光蛛", "疾光", "小铁锤", "龙牙之刃", "星星人", "炭治郎", "膳魔师",
    "喜临门", "慕思", "小狗盘", "极光水", "美利达", "红双喜",
)  # fmt: skip


def _segmentation(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for word in _HARD_TO_SEGMENT:
        things = _things_called(word)
        if things.things:
            yield Asked(word, word, things)
            continue
        made = [(thing, brand) for thing, brand in _made() if brand.name == word]
        if made:
            yield Asked(word, word, Meaning(brand=word))
        for thing, brand, model in _models():
            if word in model.name:
                exact = _of_model(thing, brand, model, says_brand=False)
                is_model = word == model.name
                yield Asked(word, word, exact if is_model else Meaning(words=word))
                break


_ONE_CHARACTER: Final = "鞋包琴床车灯杯锅裙衣裤表拍"


def _one_character(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for character in _ONE_CHARACTER:
        things = [thing for thing in market().things if any(name.endswith(character) for name in thing.names)]
        yield Asked(character, character, Meaning(things=things))
        for brand in dict.fromkeys(brand.name for thing, brand in _made() if thing in things):
            if brand in market().brands and character != "衣":
                yield Asked(f"{brand}{character}", f"{brand}{character}", Meaning(things=things, brand=brand))
                break


def _emoji(_chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing in market().things:
        if thing.emoji:
            shown = Meaning(things=[each for each in market().things if each.emoji == thing.emoji])
            yield Asked(thing.emoji, thing.emoji, shown)
            yield Asked(f"{thing.emoji}{thing.name}", thing.emoji + thing.name, _things_called(thing.name))
            brand = market().brand(next(iter(thing.makes)))
            text = f"{brand.name}{thing.emoji}"
            yield Asked(text, thing.emoji + brand.name, replace(shown, brand=brand.name))


def _rental(chance: random.Random, _goods: Sequence[Offer]) -> Iterator[Asked]:
    for thing, brand in _made():
        if thing.name in {"相机", "镜头", "无人机", "游戏机", "投影仪", "帐篷", "笔记本电脑"}:
            words = chance.choice(("租{}", "{}出租", "{} 租赁", "{}租借"))
            yield Asked(
                words.format(thing.name), f"{words}{thing.name}", replace(_things_called(thing.name), role=Role.RENTAL)
            )
            for model in thing.makes[brand.name][:3]:
                if not model.is_vague:
                    meaning = replace(_of_model(thing, brand, model, says_brand=False), role=Role.RENTAL)
                    yield Asked(words.format(model.name), f"{words}{model.name}", meaning)


KINDS: Final[Mapping[str, Kind]] = {
    "model": _model,
    "model glued": _model_glued,
    "model spaced": _model_spaced,
    "model reordered": _model_reordered,
    "model and detail": _model_and_detail,
    "brand and thing": _brand_thing,
    "thing": _thing,
    "brand": _brand_alone,
    "other name": _other_name,
    "slang": _slang,
    "alias": _alias,
    "full-width": _full_width,
    "traditional": _traditional,
    "Latin typo": _latin_typo,
    "Chinese typo": _chinese_typo,
    "pinyin": _pinyin,
    "initials": _initials,
    "mixed pinyin": _mixed_pinyin,
    "accessory": _pieces(Role.ACCESSORY),
    "part": _pieces(Role.PART),
    "not its accessory": _not_its_accessory,
    "rental": _rental,
    "price words": _price_words,
    "talk": _talk,
    "extra words": _extra_words,
    "size and gender": _size_gender,
    "condition": _condition,
    "place": _place,
    "Chinese numerals": _numerals,
    "units": _units,
    "codes": _codes,
    "stop words": _stop_words,
    "literal title": _literal_title,
    "segmentation": _segmentation,
    "one character": _one_character,
    "emoji": _emoji,
}
"""The kinds of queries, those of the table in issue 12 among them."""
