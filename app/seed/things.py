"""What the demo market sells, each as a drawing: `SIDES` has it by name, the side that is shown first first."""

import math
from collections.abc import Callable
from typing import Final

from app.seed.pen import Colour, Pen, darker, lighter

_BLACK: Final[Colour] = (24, 24, 28)
_DARK: Final[Colour] = (58, 60, 66)
_GREY: Final[Colour] = (142, 146, 152)
_SILVER: Final[Colour] = (206, 210, 215)
_WHITE: Final[Colour] = (250, 250, 248)
_WOOD: Final[Colour] = (176, 122, 72)
_GOLD: Final[Colour] = (206, 170, 96)
_GLASS: Final[Colour] = (196, 226, 240)
_WALL: Final[Colour] = (240, 232, 218)
_FLOOR: Final[Colour] = (200, 166, 126)
_GREEN: Final[Colour] = (96, 158, 92)
_RED: Final[Colour] = (206, 44, 48)


# --- phones ---


def _lens(pen: Pen, x: float, y: float, radius: float) -> None:
    pen.disc(x, y, radius, _BLACK)
    pen.ring(x, y, radius, _GREY, 4)
    pen.disc(x, y, radius * 0.55, (40, 52, 84))
    pen.disc(x - radius * 0.25, y - radius * 0.25, radius * 0.16, _WHITE)


def _phone_front(pen: Pen, colour: Colour) -> None:
    pen.box(262, 90, 538, 690, fill=darker(colour, 0.2), radius=48)
    pen.box(274, 102, 526, 678, fill=_BLACK, radius=40)
    pen.box(284, 112, 516, 668, fill=(74, 116, 190), radius=34)
    pen.shape((284, 668), (284, 470), (380, 380), (516, 540), (516, 640), (500, 668), fill=(236, 150, 110))
    pen.disc(440, 280, 46, (252, 226, 150))
    pen.box(352, 112, 448, 140, fill=_BLACK, radius=14)
    for column in range(4):
        pen.box(306 + column * 50, 596, 344 + column * 50, 634, fill=_WHITE, radius=10)


def _iphone(pen: Pen, colour: Colour) -> None:
    pen.box(262, 90, 538, 690, fill=darker(colour, 0.14), radius=48)
    pen.box(268, 96, 532, 684, fill=colour, radius=44)
    pen.box(284, 112, 410, 238, fill=lighter(colour, 0.4), radius=34)
    _lens(pen, 322, 150, 28)
    _lens(pen, 372, 200, 28)
    pen.disc(376, 146, 10, _WHITE)
    pen.disc(390, 392, 24, darker(colour, 0.22))
    pen.disc(410, 392, 24, darker(colour, 0.22))
    pen.oval(398, 344, 420, 366, fill=darker(colour, 0.22))


def _four_cameras(pen: Pen, colour: Colour) -> None:
    pen.box(262, 90, 538, 690, fill=lighter(colour, 0.3), radius=44)
    pen.box(268, 96, 532, 684, fill=colour, radius=40)
    pen.box(284, 112, 432, 260, fill=darker(colour, 0.35), radius=28)
    for x, y in ((322, 150), (394, 150), (322, 222)):
        _lens(pen, x, y, 29)
    pen.disc(394, 222, 13, _WHITE)
    pen.box(370, 620, 430, 632, fill=lighter(colour, 0.35), radius=4)


def _round_camera(pen: Pen, colour: Colour) -> None:
    pen.box(262, 90, 538, 690, fill=darker(colour, 0.3), radius=54)
    pen.box(268, 96, 532, 684, fill=colour, radius=50)
    pen.box(268, 430, 532, 684, fill=lighter(colour, 0.45), radius=50)
    pen.box(268, 400, 532, 500, fill=lighter(colour, 0.45))
    pen.box(268, 396, 532, 404, fill=_GOLD)
    pen.disc(400, 226, 100, _GOLD)
    pen.disc(400, 226, 94, _BLACK)
    for x, y in ((400, 172), (350, 250), (450, 250)):
        _lens(pen, x, y, 30)


def _old_phone(pen: Pen, colour: Colour) -> None:
    pen.box(290, 90, 510, 690, fill=darker(colour, 0.3), radius=80)
    pen.box(304, 104, 496, 676, fill=colour, radius=70)
    pen.box(360, 124, 440, 136, fill=_BLACK, radius=6)
    pen.box(318, 164, 482, 330, fill=_SILVER, radius=30)
    pen.box(334, 182, 466, 308, fill=(150, 176, 110), radius=8)
    for row, length in enumerate((90, 60, 100)):
        pen.box(346, 200 + row * 32, 346 + length, 212 + row * 32, fill=(60, 80, 50))
    pen.box(358, 348, 442, 384, fill=_SILVER, radius=18)
    for row in range(4):
        for column in range(3):
            left, top = 322 + column * 54, 404 + row * 62
            pen.box(left, top, left + 48, top + 42, fill=_WHITE, radius=20)
            pen.disc(left + 24, top + 21, 5, _DARK)


# --- electronics ---


def _camera_body(pen: Pen, colour: Colour) -> None:
    pen.box(310, 176, 490, 300, fill=colour, radius=26)
    pen.box(350, 168, 450, 186, fill=_DARK, radius=6)
    pen.box(110, 250, 690, 650, fill=colour, radius=46)
    pen.box(110, 330, 690, 560, fill=lighter(colour, 0.12))
    pen.box(110, 250, 220, 650, fill=lighter(colour, 0.06), radius=46)
    pen.disc(400, 450, 178, _SILVER)
    pen.disc(400, 450, 160, _DARK)
    pen.disc(400, 450, 138, _BLACK)
    pen.box(316, 388, 484, 512, fill=(64, 92, 128), radius=6)
    pen.shape((316, 388), (420, 388), (350, 512), (316, 512), fill=(92, 132, 170))
    pen.disc(556, 336, 9, (240, 120, 40))
    for x, radius in ((170, 30), (570, 40), (640, 28)):
        pen.oval(x - radius, 226, x + radius, 262, fill=_DARK)
    pen.box(238, 280, 300, 296, fill=_WHITE, radius=3)


def _tablet(pen: Pen, colour: Colour) -> None:
    pen.box(90, 180, 710, 640, fill=colour, radius=34)
    pen.box(100, 190, 700, 630, fill=_BLACK, radius=28)
    pen.box(124, 214, 676, 606, fill=(82, 148, 190))
    pen.shape((124, 606), (124, 480), (280, 340), (420, 500), (520, 420), (676, 560), (676, 606), fill=(40, 86, 96))
    pen.disc(560, 300, 44, (252, 240, 200))
    pen.disc(112, 410, 5, _GREY)
    for column in range(6):
        pen.box(226 + column * 60, 552, 268 + column * 60, 594, fill=_WHITE, radius=10)


def _mouse(pen: Pen, colour: Colour) -> None:
    pen.shape((250, 640), (200, 560), (230, 480), (320, 470), (340, 640), fill=darker(colour, 0.3))
    pen.oval(262, 120, 590, 690, fill=colour)
    pen.oval(286, 140, 566, 520, fill=lighter(colour, 0.12))
    pen.line((428, 130), (428, 400), fill=darker(colour, 0.35), width=8)
    pen.box(404, 190, 452, 310, fill=_SILVER, radius=22)
    for top in range(204, 300, 16):
        pen.box(408, top, 448, top + 6, fill=_GREY)
    pen.oval(214, 500, 292, 560, fill=_SILVER)
    pen.box(412, 340, 444, 380, fill=_DARK, radius=10)


def _reader(pen: Pen, colour: Colour) -> None:
    pen.box(210, 90, 590, 690, fill=colour, radius=36)
    pen.box(252, 138, 548, 590, fill=(232, 230, 220))
    pen.box(290, 172, 440, 194, fill=_DARK)
    for row in range(12):
        right = 452 if row in (4, 11) else 516
        pen.box(284, 224 + row * 28, right, 232 + row * 28, fill=(120, 120, 116))
    pen.box(350, 630, 450, 648, fill=lighter(colour, 0.3), radius=6)


# --- flats ---


def _room(pen: Pen, *, wall: Colour = _WALL) -> None:
    pen.box(0, 0, 800, 520, fill=wall)
    pen.box(0, 520, 800, 800, fill=_FLOOR)
    for top in range(560, 800, 56):
        pen.line((0, top), (800, top), fill=darker(_FLOOR, 0.1), width=3)
    pen.box(0, 508, 800, 524, fill=_WHITE)


def _window(pen: Pen, left: float, top: float, right: float, bottom: float) -> None:
    pen.box(left - 12, top - 12, right + 12, bottom + 12, fill=_WHITE)
    pen.box(left, top, right, bottom, fill=_GLASS)
    pen.shape(
        (left, bottom),
        (left, bottom - 40),
        ((left + right) / 2, bottom - 90),
        (right, bottom - 30),
        (right, bottom),
        fill=_GREEN,
    )
    middle = (left + right) / 2
    pen.box(middle - 5, top, middle + 5, bottom, fill=_WHITE)


def _bed(pen: Pen, left: float, top: float, cover: Colour) -> None:
    pen.box(left, top - 110, left + 34, top + 150, fill=_WOOD, radius=8)
    pen.box(left + 20, top + 40, left + 400, top + 130, fill=darker(_WOOD, 0.1), radius=8)
    pen.box(left + 26, top, left + 400, top + 84, fill=_WHITE, radius=18)
    pen.box(left + 150, top - 14, left + 404, top + 96, fill=cover, radius=22)
    pen.box(left + 40, top - 34, left + 140, top + 26, fill=lighter(cover, 0.6), radius=20)
    pen.box(left + 376, top + 120, left + 396, top + 156, fill=_WOOD)


def _flat(pen: Pen, colour: Colour) -> None:
    _room(pen)
    _window(pen, 90, 110, 330, 360)
    for left in (56, 318):
        pen.box(left, 80, left + 46, 480, fill=lighter(colour, 0.3), radius=10)
    _bed(pen, 70, 560, colour)
    pen.box(560, 150, 740, 560, fill=_WOOD, radius=6)
    pen.box(646, 160, 652, 550, fill=darker(_WOOD, 0.3))
    for x in (632, 666):
        pen.disc(x, 360, 6, _GOLD)
    pen.line((440, 0), (440, 120), fill=_DARK, width=4)
    pen.shape((400, 180), (420, 116), (460, 116), (480, 180), fill=_GOLD)


def _living_room(pen: Pen, colour: Colour) -> None:
    _room(pen, wall=(226, 232, 236))
    _window(pen, 440, 110, 720, 330)
    pen.box(90, 170, 330, 320, fill=_BLACK, radius=6)
    pen.box(104, 184, 316, 306, fill=(70, 96, 130))
    pen.box(70, 440, 350, 540, fill=_WOOD, radius=8)
    pen.box(410, 420, 750, 560, fill=darker(colour), radius=36)
    pen.box(380, 500, 780, 640, fill=colour, radius=36)
    pen.box(180, 640, 420, 664, fill=darker(_WOOD, 0.1), radius=8)
    for left in (200, 380):
        pen.box(left, 660, left + 18, 740, fill=darker(_WOOD, 0.2))


def _kitchen(pen: Pen, colour: Colour) -> None:
    _room(pen, wall=(236, 240, 236))
    for row in range(4):
        for column in range(11):
            pen.box(column * 74, 250 + row * 48, column * 74 + 70, 294 + row * 48, fill=_WHITE)
    for column in range(4):
        pen.box(40 + column * 184, 60, 214 + column * 184, 230, fill=lighter(colour, 0.4), radius=6)
    pen.box(0, 440, 800, 470, fill=_GREY)
    for column in range(4):
        pen.box(10 + column * 200, 474, 202 + column * 200, 700, fill=lighter(colour, 0.25), radius=6)
        pen.box(80 + column * 200, 492, 132 + column * 200, 502, fill=_DARK, radius=4)
    pen.box(90, 424, 300, 444, fill=_BLACK, radius=6)
    for x in (146, 244):
        pen.ring(x, 420, 34, _DARK, 8)
    pen.line((560, 440), (560, 350), (610, 350), (610, 380), fill=_SILVER, width=14)


def _balcony_room(pen: Pen, colour: Colour) -> None:
    _room(pen)
    pen.box(400, 60, 740, 530, fill=_WHITE)
    pen.box(416, 76, 724, 530, fill=(176, 216, 246))
    pen.disc(640, 160, 46, (255, 222, 110))
    for angle in range(0, 360, 30):
        x, y = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        pen.line((640 + x * 60, 160 + y * 60), (640 + x * 78, 160 + y * 78), fill=(255, 222, 110), width=6)
    pen.box(416, 430, 724, 444, fill=_DARK)
    for left in range(430, 724, 34):
        pen.box(left, 440, left + 8, 530, fill=_DARK)
    pen.box(562, 76, 578, 530, fill=_WHITE)
    pen.box(372, 40, 420, 530, fill=lighter(colour, 0.4), radius=10)
    pen.box(452, 500, 516, 530, fill=(190, 100, 70))
    pen.oval(440, 440, 528, 506, fill=_GREEN)
    _bed(pen, 40, 590, colour)


def _parking(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0, 800, 430, fill=(188, 190, 192))
    pen.box(0, 430, 800, 800, fill=(110, 114, 118))
    pen.box(0, 300, 800, 330, fill=(240, 190, 60))
    pen.box(60, 0, 170, 520, fill=(214, 216, 218))
    pen.box(60, 380, 170, 440, fill=(240, 190, 60))
    pen.box(230, 40, 330, 140, fill=(40, 96, 186), radius=12)
    pen.box(262, 60, 278, 122, fill=_WHITE)
    pen.ring(282, 78, 20, _WHITE, 12)
    for left, foot in ((200, 120), (640, 740)):
        pen.shape((left, 430), (left + 18, 430), (foot + 30, 800), (foot, 800), fill=_WHITE)
    pen.shape((276, 460), (316, 370), (540, 370), (590, 460), fill=darker(colour, 0.2))
    pen.shape((300, 456), (328, 386), (422, 386), (422, 456), fill=_GLASS)
    pen.shape((438, 456), (438, 386), (530, 386), (564, 456), fill=_GLASS)
    pen.box(220, 450, 650, 590, fill=colour, radius=44)
    for x in (310, 560):
        pen.disc(x, 590, 52, _BLACK)
        pen.disc(x, 590, 26, _SILVER)
    pen.box(236, 486, 284, 512, fill=(255, 240, 180), radius=10)
    pen.box(690, 240, 760, 440, fill=_WHITE, radius=12)
    pen.box(704, 260, 746, 306, fill=_GREEN, radius=6)
    pen.shape((728, 330), (708, 376), (724, 376), (718, 412), (744, 362), (728, 362), fill=_GREEN)
    pen.line((704, 420), (676, 470), (650, 500), fill=_BLACK, width=9)


def _studio(pen: Pen, colour: Colour) -> None:
    _room(pen, wall=(232, 236, 240))
    _window(pen, 300, 90, 520, 300)
    _bed(pen, 30, 600, colour)
    pen.box(500, 430, 780, 452, fill=_WOOD, radius=4)
    for left in (516, 750):
        pen.box(left, 450, left + 16, 640, fill=darker(_WOOD, 0.2))
    pen.box(590, 330, 720, 412, fill=_BLACK, radius=6)
    pen.box(600, 340, 710, 402, fill=(120, 170, 210))
    pen.box(646, 410, 664, 432, fill=_BLACK)
    pen.line((546, 430), (534, 360), (566, 320), fill=_DARK, width=7)
    pen.shape((548, 300), (596, 326), (560, 350), fill=_GOLD)
    pen.box(590, 520, 700, 540, fill=darker(colour), radius=8)
    pen.box(596, 440, 690, 524, fill=darker(colour, 0.1), radius=14)
    pen.box(636, 540, 652, 680, fill=_DARK)
    for row in range(2):
        pen.box(60, 130 + row * 130, 240, 142 + row * 130, fill=_WOOD)
        for number in range(5):
            tone = ((190, 80, 70), (80, 120, 160), (220, 180, 90), (90, 140, 110), (150, 110, 160))[number]
            pen.box(72 + number * 30, 66 + row * 130, 96 + number * 30, 130 + row * 130, fill=tone)


# --- clothes ---


def _hanger(pen: Pen) -> None:
    pen.arc(370, 40, 430, 100, start=180, end=60, fill=_GREY, width=8)
    pen.line((400, 96), (400, 128), fill=_GREY, width=8)
    pen.line((250, 196), (400, 126), (550, 196), fill=_WOOD, width=16)


def _coat(pen: Pen, colour: Colour) -> None:
    _hanger(pen)
    for side in (-1, 1):
        points = [(400 + side * x, y) for x, y in ((130, 170), (200, 230), (230, 520), (166, 530), (140, 300))]
        pen.shape(*points, fill=darker(colour, 0.12))
    pen.shape(
        (310, 160), (490, 160), (550, 210), (556, 440), (590, 720), (210, 720), (244, 440), (250, 210), fill=colour
    )
    pen.line((400, 300), (400, 720), fill=darker(colour, 0.3), width=5)
    for side in (-1, 1):
        pen.shape(
            (400, 330),
            (400 + side * 20, 160),
            (400 + side * 100, 166),
            (400 + side * 84, 250),
            fill=darker(colour, 0.18),
        )
        pen.box(400 + side * 110 - 46, 520, 400 + side * 110 + 46, 538, fill=darker(colour, 0.22), radius=6)
        for top in (370, 450, 530):
            pen.disc(400 + side * 34, top, 11, darker(colour, 0.5))
    pen.shape((372, 160), (428, 160), (400, 300), fill=(240, 236, 228))


def _jacket(pen: Pen, colour: Colour) -> None:
    edge = lighter(colour, 0.32)
    pen.oval(292, 70, 508, 290, fill=lighter(colour, 0.12))
    pen.oval(330, 116, 470, 280, fill=darker(colour, 0.6))
    for side in (-1, 1):
        points = [(400 + side * x, y) for x, y in ((150, 220), (250, 330), (290, 590), (216, 610), (170, 420))]
        pen.shape(*points, fill=lighter(colour, 0.06))
        pen.line((400 + side * 252, 604), (400 + side * 288, 592), fill=edge, width=10)
    pen.shape((300, 210), (500, 210), (576, 260), (570, 680), (230, 680), (224, 260), fill=colour)
    pen.shape((224, 260), (300, 210), (500, 210), (576, 260), (572, 350), (228, 350), fill=lighter(colour, 0.14))
    pen.line((400, 220), (400, 680), fill=edge, width=8)
    for side in (-1, 1):
        pen.line((400 + side * 70, 470), (400 + side * 110, 580), fill=edge, width=7)
    pen.box(292, 300, 348, 322, fill=_WHITE, radius=4)
    pen.box(230, 664, 570, 682, fill=lighter(colour, 0.2), radius=6)
    pen.box(560, 250, 606, 320, fill=_WHITE, radius=6)
    pen.line((566, 236), (580, 262), fill=_GREY, width=3)


def _dress(pen: Pen, colour: Colour) -> None:
    pen.shape(
        (320, 110),
        (346, 110),
        (356, 210),
        (444, 210),
        (454, 110),
        (480, 110),
        (500, 250),
        (470, 390),
        (330, 390),
        (300, 250),
        fill=colour,
    )
    for side in (-1, 1):
        pen.oval(400 + side * 92 - 46, 150, 400 + side * 92 + 46, 270, fill=lighter(colour, 0.08))
    pen.shape((332, 384), (468, 384), (600, 700), (500, 716), (400, 700), (300, 716), (200, 700), fill=colour)
    pen.box(328, 374, 472, 396, fill=darker(colour, 0.3), radius=8)
    for number in range(34):
        row, column = divmod(number, 5)
        y = 240 + row * 68
        spread = 34 if y < 400 else 34 + (y - 400) * 0.16
        x = 400 + (column - 2) * spread + (row % 2) * spread * 0.4 - spread * 0.2
        for angle in range(0, 360, 72):
            pen.disc(x + 8 * math.cos(math.radians(angle)), y + 8 * math.sin(math.radians(angle)), 5.5, _WHITE)
        pen.disc(x, y, 5, (250, 214, 90))


def _high_top(pen: Pen, colour: Colour) -> None:
    pen.shape(
        (250, 150), (420, 150), (440, 400), (600, 500), (676, 560), (676, 620), (220, 620), (226, 380), fill=colour
    )
    pen.box(190, 600, 700, 664, fill=_WHITE, radius=26)
    pen.box(200, 620, 690, 630, fill=_RED)
    pen.pie(560, 500, 740, 700, start=180, end=285, fill=_WHITE)
    pen.box(560, 590, 700, 664, fill=_WHITE, radius=26)
    pen.shape((420, 150), (470, 176), (480, 380), (600, 480), (560, 540), (424, 430), fill=lighter(colour, 0.16))
    for step in range(6):
        x, y = 424 + step * 9 + max(step - 3, 0) * 24, 190 + step * 52
        pen.line((x, y), (x + 52, y - 8), fill=_WHITE, width=11)
    pen.disc(318, 330, 54, _WHITE)
    star = [
        (
            318 + (44 if n % 2 == 0 else 18) * math.sin(n * math.pi / 5),
            330 - (44 if n % 2 == 0 else 18) * math.cos(n * math.pi / 5),
        )
        for n in range(10)
    ]
    pen.shape(*star, fill=(40, 70, 140))


# --- home ---


def _bookcase(pen: Pen, colour: Colour) -> None:
    pen.box(240, 70, 560, 720, fill=darker(colour, 0.1), radius=4)
    tones: tuple[Colour, ...] = (
        (188, 84, 70),
        (70, 112, 150),
        (214, 172, 84),
        (88, 136, 104),
        (140, 104, 152),
        (226, 214, 190),
    )
    for row in range(5):
        top = 92 + row * 124
        pen.box(258, top, 542, top + 106, fill=darker(colour, 0.24))
        for number in range(9 - row % 3 * 2):
            high = 70 + (number * 37 + row * 23) % 28
            pen.box(266 + number * 24, top + 106 - high, 286 + number * 24, top + 106, fill=tones[(number + row) % 6])
        pen.box(240, top + 106, 560, top + 124, fill=colour)
    for left in (240, 542):
        pen.box(left, 70, left + 18, 720, fill=colour)
    pen.box(240, 70, 560, 92, fill=colour)
    pen.box(480, 546, 524, 570, fill=(190, 110, 76))
    pen.oval(470, 500, 534, 552, fill=_GREEN)


def _chair(pen: Pen, left: float, top: float, colour: Colour) -> None:
    for x in (left, left + 92):
        pen.box(x, top, x + 14, top + 290, fill=colour, radius=4)
    for y in (top + 14, top + 62, top + 110):
        pen.box(left, y, left + 106, y + 20, fill=colour, radius=4)
    pen.box(left - 8, top + 166, left + 114, top + 190, fill=lighter(colour, 0.15), radius=6)


def _table_and_chairs(pen: Pen, colour: Colour) -> None:
    for left in (200, 490):
        _chair(pen, left, 250, darker(colour, 0.12))
    pen.shape((160, 400), (640, 400), (730, 470), (70, 470), fill=lighter(colour, 0.2))
    pen.box(70, 468, 730, 500, fill=colour)
    for left in (92, 680):
        pen.box(left, 498, left + 30, 730, fill=darker(colour, 0.1))
    for left in (200, 490):
        _chair(pen, left, 440, darker(colour, 0.24))
    pen.line((300, 440), (360, 428), fill=darker(colour, 0.25), width=3)
    pen.oval(370, 414, 470, 444, fill=_WHITE)
    pen.disc(404, 416, 18, _RED)
    pen.disc(436, 418, 16, (240, 170, 60))


def _bean_bag(pen: Pen, colour: Colour) -> None:
    pen.oval(120, 330, 690, 710, fill=colour)
    pen.shape((180, 520), (300, 190), (400, 150), (500, 190), (640, 520), fill=colour)
    pen.oval(286, 140, 514, 330, fill=lighter(colour, 0.08))
    pen.oval(200, 430, 640, 640, fill=lighter(colour, 0.12))
    for points in (
        ((310, 240), (250, 400), (230, 520)),
        ((480, 230), (560, 390), (590, 520)),
        ((400, 300), (404, 440)),
    ):
        pen.line(*points, fill=darker(colour, 0.25), width=5)
    pen.box(380, 128, 420, 160, fill=darker(colour, 0.3), radius=8)


def _desk_lamp(pen: Pen, colour: Colour) -> None:
    pen.shape((250, 250), (560, 250), (690, 690), (130, 690), fill=(255, 246, 206))
    pen.oval(460, 660, 660, 716, fill=darker(colour, 0.14))
    pen.oval(460, 650, 660, 704, fill=colour)
    pen.line((570, 676), (570, 206), fill=darker(colour, 0.08), width=18)
    pen.line((570, 214), (230, 214), fill=darker(colour, 0.1), width=18)
    pen.box(214, 208, 590, 244, fill=colour, radius=18)
    pen.box(234, 238, 500, 250, fill=(255, 226, 140), radius=6)
    pen.disc(570, 214, 16, _RED)
    pen.disc(560, 676, 11, _RED)


# --- beauty ---


def _dropper_bottle(pen: Pen, colour: Colour) -> None:
    pen.oval(356, 60, 444, 180, fill=_DARK)
    pen.box(346, 150, 454, 262, fill=_GOLD, radius=10)
    for left in range(356, 452, 14):
        pen.box(left, 158, left + 4, 254, fill=darker(_GOLD))
    pen.box(290, 256, 510, 690, fill=colour, radius=46)
    pen.box(304, 276, 330, 660, fill=lighter(colour, 0.35), radius=12)
    pen.box(326, 390, 474, 590, fill=darker(colour, 0.35), radius=6)
    for top, half in ((420, 52), (448, 38), (500, 56), (526, 56), (552, 30)):
        pen.box(400 - half, top, 400 + half, top + 10, fill=_GOLD)


def _lipstick(pen: Pen, colour: Colour) -> None:
    pen.box(250, 420, 390, 700, fill=_BLACK, radius=14)
    pen.box(266, 330, 374, 430, fill=_SILVER, radius=8)
    pen.shape((282, 340), (282, 210), (300, 150), (358, 110), (358, 340), fill=colour)
    pen.shape((300, 150), (358, 110), (358, 180), (300, 214), fill=lighter(colour, 0.2))
    pen.box(450, 390, 580, 700, fill=_BLACK, radius=60)
    pen.box(450, 560, 580, 700, fill=_BLACK, radius=14)
    pen.box(470, 420, 484, 680, fill=_DARK, radius=7)
    pen.box(250, 500, 390, 512, fill=_GREY)
    pen.line((160, 250), (220, 214), fill=colour, width=34)


def _hair_dryer(pen: Pen, colour: Colour) -> None:
    pen.line((440, 400), (400, 690), fill=_GREY, width=84)
    pen.line((432, 460), (400, 690), fill=_SILVER, width=76)
    pen.line((400, 700), (440, 750), (560, 740), fill=_DARK, width=12)
    pen.box(220, 190, 620, 420, fill=_GREY, radius=100)
    pen.box(220, 190, 500, 420, fill=_SILVER, radius=100)
    pen.oval(500, 180, 680, 430, fill=colour)
    pen.oval(530, 214, 650, 396, fill=darker(colour, 0.35))
    pen.oval(556, 246, 624, 364, fill=(230, 226, 228))
    pen.box(120, 250, 230, 360, fill=colour, radius=14)
    pen.box(96, 270, 130, 340, fill=_DARK, radius=8)
    for top in (520, 580):
        pen.disc(424 - (top - 520) * 0.14, top, 13, colour)


def _toner(pen: Pen, colour: Colour) -> None:
    pen.box(340, 70, 460, 190, fill=_WHITE, radius=14)
    pen.box(340, 160, 460, 176, fill=_SILVER)
    pen.box(280, 186, 520, 700, fill=(240, 238, 244), radius=56)
    pen.box(292, 310, 508, 688, fill=colour, radius=46)
    pen.box(292, 302, 508, 370, fill=colour)
    pen.oval(292, 290, 508, 318, fill=lighter(colour, 0.35))
    pen.box(304, 230, 326, 660, fill=_WHITE, radius=11)
    for top, half in ((430, 70), (462, 46), (520, 80), (544, 80), (568, 54)):
        pen.box(400 - half, top, 400 + half, top + 9, fill=darker(colour, 0.55))


# --- sports ---


def _bicycle(pen: Pen, colour: Colour) -> None:
    for x in (210, 590):
        pen.ring(x, 530, 150, _BLACK, 22)
        pen.ring(x, 530, 126, _GREY, 5)
        for angle in range(0, 180, 20):
            dx, dy = 124 * math.cos(math.radians(angle)), 124 * math.sin(math.radians(angle))
            pen.line((x - dx, 530 - dy), (x + dx, 530 + dy), fill=_SILVER, width=2)
        pen.disc(x, 530, 16, _DARK)
    for points in (
        ((210, 530), (330, 330), (520, 320)),
        ((210, 530), (380, 530), (330, 330)),
        ((380, 530), (520, 330)),
    ):
        pen.line(*points, fill=colour, width=20)
    pen.line((500, 240), (590, 530), fill=_DARK, width=18)
    pen.line((330, 330), (314, 270), fill=_DARK, width=14)
    pen.box(252, 244, 372, 276, fill=_BLACK, radius=16)
    pen.line((500, 244), (540, 214), (470, 210), fill=_BLACK, width=16)
    pen.ring(380, 530, 42, _BLACK, 12)
    pen.line((380, 530), (420, 600), fill=_BLACK, width=12)
    pen.box(392, 594, 452, 610, fill=_BLACK, radius=6)


def _racket(pen: Pen, colour: Colour) -> None:
    centre_x, centre_y, across, along = 320, 270, 150, 186
    for offset in range(-132, 133, 22):
        half = along * math.sqrt(1 - (offset / across) ** 2)
        pen.line((centre_x + offset, centre_y - half), (centre_x + offset, centre_y + half), fill=_WHITE, width=3)
    for offset in range(-176, 177, 22):
        half = across * math.sqrt(1 - (offset / along) ** 2)
        pen.line((centre_x - half, centre_y + offset), (centre_x + half, centre_y + offset), fill=_WHITE, width=3)
    pen.arc(170, 84, 470, 456, start=0, end=360, fill=colour, width=18)
    pen.line((320, 450), (330, 600), fill=_DARK, width=13)
    pen.line((332, 600), (340, 720), fill=colour, width=30)
    for step in range(5):
        pen.line((322 + step, 614 + step * 24), (352 + step, 606 + step * 24), fill=darker(colour, 0.4), width=4)
    pen.shape((520, 560), (640, 460), (690, 520), (566, 620), fill=_WHITE)
    for step in range(5):
        pen.line((534 + step * 8, 574 + step * 8), (644 + step * 10, 464 + step * 13), fill=_SILVER, width=4)
    pen.disc(532, 602, 40, (232, 220, 196))
    pen.line((554, 556), (584, 596), fill=_RED, width=8)


def _yoga_mat(pen: Pen, colour: Colour) -> None:
    pen.shape((90, 640), (560, 640), (700, 700), (190, 700), fill=lighter(colour, 0.15))
    pen.box(180, 390, 690, 640, fill=colour, radius=40)
    for top in range(412, 630, 18):
        pen.box(230, top, 680, top + 3, fill=darker(colour, 0.1))
    pen.oval(100, 384, 300, 646, fill=darker(colour, 0.12))
    for step in range(5):
        shrink = step * 18
        pen.arc(
            108 + shrink,
            394 + shrink,
            292 - shrink,
            636 - shrink,
            start=20,
            end=350,
            fill=darker(colour, 0.42),
            width=7,
        )
    for left in (400, 560):
        pen.box(left, 382, left + 34, 648, fill=_DARK, radius=10)
    pen.arc(400, 290, 590, 500, start=180, end=360, fill=_DARK, width=16)


def _tent(pen: Pen, colour: Colour) -> None:
    pen.box(0, 560, 800, 800, fill=(138, 174, 104))
    pen.shape((0, 560), (150, 420), (330, 560), fill=(120, 150, 130))
    pen.shape((500, 560), (660, 390), (800, 540), (800, 560), fill=(130, 160, 138))
    pen.pie(90, 220, 710, 1060, start=180, end=360, fill=colour)
    pen.pie(250, 220, 550, 1060, start=180, end=360, fill=lighter(colour, 0.2))
    pen.shape((400, 300), (500, 640), (300, 640), fill=darker(colour, 0.55))
    pen.shape((400, 300), (300, 640), (330, 640), (400, 360), fill=_WHITE)
    for points in (((90, 640), (180, 340), (400, 222)), ((710, 640), (620, 340), (400, 222))):
        pen.line(*points, fill=_DARK, width=6)
    for start, end in (((120, 600), (30, 690)), ((680, 600), (770, 690))):
        pen.line(start, end, fill=_WHITE, width=3)
    pen.box(0, 640, 800, 800, fill=(138, 174, 104))
    for x in range(40, 800, 70):
        pen.line((x, 700), (x + 8, 676), fill=(100, 140, 76), width=5)


# --- appliances ---


def _blender(pen: Pen, colour: Colour) -> None:
    pen.box(300, 90, 500, 140, fill=_DARK, radius=14)
    pen.box(360, 66, 440, 100, fill=_DARK, radius=10)
    pen.shape((280, 136), (520, 136), (490, 450), (310, 450), fill=_GLASS)
    pen.shape((297, 270), (503, 270), (490, 450), (310, 450), fill=(244, 170, 90))
    pen.arc(480, 180, 620, 400, start=270, end=100, fill=_DARK, width=26)
    for top in range(180, 420, 40):
        pen.box(310, top, 340, top + 5, fill=_GREY)
    pen.box(340, 430, 460, 446, fill=_SILVER, radius=6)
    pen.shape((300, 450), (500, 450), (540, 700), (260, 700), fill=colour)
    pen.box(256, 680, 544, 704, fill=_DARK, radius=10)
    pen.disc(400, 580, 46, _SILVER)
    pen.disc(400, 580, 34, _DARK)
    pen.line((400, 580), (418, 556), fill=_WHITE, width=6)


def _fridge(pen: Pen, colour: Colour) -> None:
    pen.box(250, 90, 550, 706, fill=darker(colour, 0.12), radius=22)
    pen.box(260, 100, 540, 306, fill=colour, radius=16)
    pen.box(260, 318, 540, 690, fill=colour, radius=16)
    for top, bottom in ((200, 290), (340, 460)):
        pen.box(284, top, 302, bottom, fill=_GREY, radius=9)
    pen.box(450, 124, 516, 140, fill=_GREY, radius=4)
    pen.disc(470, 400, 18, _RED)
    pen.box(430, 426, 500, 500, fill=(250, 236, 150))
    for left in (280, 490):
        pen.box(left, 700, left + 30, 718, fill=_BLACK)


def _soy_milk_maker(pen: Pen, colour: Colour) -> None:
    pen.box(330, 80, 470, 130, fill=_DARK, radius=20)
    pen.box(280, 116, 520, 240, fill=colour, radius=40)
    pen.shape((290, 236), (510, 236), (530, 690), (270, 690), fill=_SILVER)
    pen.shape((300, 236), (340, 236), (326, 690), (284, 690), fill=_WHITE)
    pen.arc(440, 270, 650, 600, start=270, end=90, fill=colour, width=34)
    pen.shape((292, 250), (250, 270), (292, 310), fill=_SILVER)
    pen.box(262, 670, 538, 706, fill=colour, radius=12)
    for number in range(3):
        pen.disc(350 + number * 50, 180, 15, (_GREEN, _WHITE, _GOLD)[number])
    pen.box(110, 560, 230, 690, fill=_WHITE, radius=14)
    pen.oval(110, 546, 230, 580, fill=(246, 234, 206))
    pen.arc(70, 590, 150, 660, start=90, end=270, fill=_WHITE, width=14)


def _robot_vacuum(pen: Pen, colour: Colour) -> None:
    pen.box(0, 0, 800, 800, fill=(214, 186, 150))
    for left in range(0, 800, 130):
        pen.line((left, 0), (left, 800), fill=(190, 160, 124), width=3)
    for angle in (200, 230, 260):
        x, y = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        pen.line((180, 260), (180 + x * 70, 260 + y * 70), fill=_DARK, width=5)
    pen.disc(400, 410, 296, darker(colour, 0.2))
    pen.disc(400, 400, 290, colour)
    pen.ring(400, 400, 262, darker(colour, 0.08), 5)
    pen.arc(116, 116, 684, 684, start=200, end=340, fill=_DARK, width=16)
    pen.disc(400, 340, 84, darker(colour, 0.12))
    pen.disc(400, 336, 72, _DARK)
    pen.disc(400, 336, 52, (220, 90, 60))
    pen.disc(400, 336, 44, _DARK)
    for x, tone in ((352, _GREEN), (400, _SILVER), (448, _SILVER)):
        pen.box(x - 18, 500, x + 18, 536, fill=tone, radius=18)
    pen.box(200, 580, 600, 584, fill=darker(colour, 0.15))


# --- music and toys ---


def _guitar(pen: Pen, colour: Colour) -> None:
    pen.box(378, 140, 422, 440, fill=darker(_WOOD, 0.5))
    pen.box(362, 50, 438, 150, fill=darker(_WOOD, 0.3), radius=12)
    for top in (70, 98, 126):
        for x in (352, 448):
            pen.disc(x, top, 10, _SILVER)
    pen.oval(284, 350, 516, 570, fill=darker(colour, 0.25))
    pen.oval(232, 450, 568, 736, fill=darker(colour, 0.25))
    pen.oval(294, 358, 506, 566, fill=colour)
    pen.oval(242, 458, 558, 728, fill=colour)
    pen.box(300, 440, 500, 560, fill=colour)
    pen.disc(400, 510, 62, darker(_WOOD, 0.1))
    pen.disc(400, 510, 54, (40, 26, 18))
    pen.box(340, 640, 460, 660, fill=darker(_WOOD, 0.5), radius=6)
    for top in range(180, 440, 34):
        pen.box(378, top, 422, top + 3, fill=_SILVER)
    for number in range(6):
        pen.line((384 + number * 6.4, 70), (384 + number * 6.4, 650), fill=(236, 232, 222), width=1.5)


def _brick_set(pen: Pen, colour: Colour) -> None:
    pen.shape((110, 220), (200, 160), (720, 160), (690, 220), fill=(250, 214, 70))
    pen.shape((690, 220), (720, 160), (720, 600), (690, 680), fill=(206, 160, 40))
    pen.box(110, 220, 690, 680, fill=(245, 245, 240))
    pen.box(110, 220, 690, 300, fill=(24, 28, 44))
    pen.box(134, 236, 200, 284, fill=_RED, radius=6)
    for number in range(3):
        pen.disc(150 + number * 17, 260, 6, _WHITE)
    pen.shape(
        (190, 520), (250, 440), (380, 400), (500, 420), (570, 470), (630, 500), (636, 560), (180, 570), fill=colour
    )
    pen.shape((190, 520), (250, 440), (330, 416), (300, 566), (180, 570), fill=darker(colour, 0.45))
    pen.shape((340, 430), (390, 410), (480, 428), (500, 466), (350, 466), fill=(30, 40, 60))
    for x in (270, 550):
        pen.disc(x, 570, 48, _BLACK)
        pen.disc(x, 570, 26, _SILVER)
    for x in range(300, 540, 40):
        pen.box(x, 394 + abs(x - 420) // 6, x + 22, 406 + abs(x - 420) // 6, fill=lighter(colour, 0.2), radius=4)
    pen.oval(604, 500, 640, 522, fill=(250, 240, 190))
    pen.box(540, 240, 660, 256, fill=_WHITE)
    pen.box(540, 266, 620, 278, fill=_GREY)


def _keyboard(pen: Pen, colour: Colour) -> None:
    pen.line((220, 420), (560, 720), fill=_DARK, width=18)
    pen.line((580, 420), (240, 720), fill=_DARK, width=18)
    for left in (170, 480):
        pen.line((left, 726), (left + 150, 726), fill=_DARK, width=16)
    pen.box(50, 270, 750, 450, fill=colour, radius=18)
    pen.box(64, 284, 736, 350, fill=lighter(colour, 0.12), radius=8)
    for left in (84, 640):
        for row in range(3):
            pen.box(left, 294 + row * 18, left + 76, 302 + row * 18, fill=lighter(colour, 0.35), radius=4)
    pen.box(340, 294, 460, 340, fill=(120, 180, 160), radius=4)
    for number in range(8):
        pen.disc(200 + number % 4 * 30, 304 + number // 4 * 26, 8, (_RED, _GOLD, _GREEN, _SILVER)[number % 4])
        pen.disc(510 + number % 4 * 30, 304 + number // 4 * 26, 8, _SILVER)
    count = 36
    width = 660 / count
    for number in range(count):
        pen.box(70 + number * width, 354, 68 + (number + 1) * width, 440, fill=_WHITE, radius=2)
    for number in range(count - 1):
        if number % 7 not in (2, 6):
            x = 70 + (number + 1) * width
            pen.box(x - 5, 354, x + 5, 408, fill=_BLACK)


def _figures(pen: Pen, colour: Colour) -> None:
    pen.box(60, 600, 740, 640, fill=_WOOD, radius=6)
    pen.box(60, 340, 740, 372, fill=_WOOD, radius=6)
    hair: tuple[Colour, ...] = (
        (240, 200, 90),
        (90, 60, 40),
        (210, 90, 80),
        (60, 60, 80),
        (230, 150, 60),
        (150, 100, 60),
    )
    for number in range(6):
        x, bottom = 190 + number % 3 * 210, 340 if number < 3 else 600
        tone = (
            lighter(colour, number * 0.1)
            if number % 2
            else ((90, 150, 200), (120, 180, 120), (180, 130, 200))[number // 2]
        )
        pen.shape((x - 44, bottom), (x - 26, bottom - 80), (x + 26, bottom - 80), (x + 44, bottom), fill=tone)
        pen.disc(x, bottom - 132, 72, hair[number])
        pen.oval(x - 60, bottom - 186, x + 60, bottom - 72, fill=(250, 222, 200))
        pen.pie(x - 70, bottom - 210, x + 70, bottom - 60, start=180, end=360, fill=hair[number])
        for side in (-1, 1):
            pen.disc(x + side * 26, bottom - 118, 13, (60, 130, 140))
            pen.disc(x + side * 26, bottom - 118, 6, _BLACK)
            pen.disc(x + side * 42, bottom - 96, 8, (250, 180, 170))
        pen.box(x - 9, bottom - 92, x + 9, bottom - 86, fill=_RED, radius=3)
        for angle in range(0, 360, 72):
            pen.disc(
                x + 46 + 8 * math.cos(math.radians(angle)), bottom - 196 + 8 * math.sin(math.radians(angle)), 7, _GOLD
            )


SIDES: Final[dict[str, tuple[Callable[[Pen, Colour], None], ...]]] = {
    "iphone": (_iphone, _phone_front),
    "four_cameras": (_four_cameras, _phone_front),
    "round_camera": (_round_camera, _phone_front),
    "old_phone": (_old_phone,),
    "camera_body": (_camera_body,),
    "tablet": (_tablet,),
    "mouse": (_mouse,),
    "reader": (_reader,),
    "flat": (_flat, _living_room, _kitchen),
    "balcony_room": (_balcony_room,),
    "parking": (_parking,),
    "studio": (_studio, _kitchen),
    "coat": (_coat,),
    "jacket": (_jacket,),
    "dress": (_dress,),
    "high_top": (_high_top,),
    "bookcase": (_bookcase,),
    "table_and_chairs": (_table_and_chairs,),
    "bean_bag": (_bean_bag,),
    "desk_lamp": (_desk_lamp,),
    "dropper_bottle": (_dropper_bottle,),
    "lipstick": (_lipstick,),
    "hair_dryer": (_hair_dryer,),
    "toner": (_toner,),
    "bicycle": (_bicycle,),
    "racket": (_racket,),
    "yoga_mat": (_yoga_mat,),
    "tent": (_tent,),
    "blender": (_blender,),
    "fridge": (_fridge,),
    "soy_milk_maker": (_soy_milk_maker,),
    "robot_vacuum": (_robot_vacuum,),
    "guitar": (_guitar,),
    "brick_set": (_brick_set,),
    "keyboard": (_keyboard,),
    "figures": (_figures,),
}
