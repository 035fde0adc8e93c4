"""The demo market's pictures show what their titles say: a drawing of each, in the colour that the title names."""

import io

import numpy as np
from PIL import Image

from app.seed.demo_data import GOODS
from app.seed.drawings import draw_picture
from app.seed.things import SIDES

# What titles say of colours, and what a picture then has much of: red, green, blue.
NAMED = {
    "星光色": (240, 233, 220),
    "黑色": (36, 37, 41),
    "雅川青": (96, 146, 140),
    "深空灰": (98, 100, 106),
    "驼色": (192, 146, 96),
    "红色": (200, 40, 46),
    "白色": (246, 246, 243),
    "深灰": (82, 84, 90),
    "紫红色": (190, 40, 120),
}


def _share_of(picture: Image.Image, colour: tuple[int, int, int]) -> float:
    """The part of the pixels that are about so."""
    off = np.abs(np.asarray(picture).astype(int) - np.array(colour)).max(axis=2)
    return float((off <= 24).mean())


def test_each_good_is_drawn_as_what_it_is() -> None:
    assert {good.thing for good in GOODS} == set(SIDES)
    assert len({good.thing for good in GOODS}) == len(GOODS) == 36
    seen = set()
    for good in GOODS:
        data = draw_picture(thing=good.thing, colour=good.colour, view=0)
        picture = Image.open(io.BytesIO(data))
        assert (picture.format, picture.size) == ("JPEG", (800, 800))
        assert _share_of(picture, good.colour) > 0.005, good.title
        seen.add(data)
        names = [name for name in NAMED if name in good.title]
        for name in names:
            if any(name != longer and name in longer for longer in names):
                continue
            assert max(np.abs(np.subtract(good.colour, NAMED[name]))) <= 12, good.title
            assert _share_of(picture, NAMED[name]) > 0.02, good.title
    assert len(seen) == len(GOODS)


def test_the_pictures_of_one_good_differ_and_are_the_same_each_time() -> None:
    good = next(good for good in GOODS if good.thing == "iphone")
    views = [draw_picture(thing=good.thing, colour=good.colour, view=view) for view in range(3)]
    assert len(set(views)) == 3
    assert views[0] == draw_picture(thing=good.thing, colour=good.colour, view=0)
