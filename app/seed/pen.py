"""A pen for the drawings of the demo market."""

from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw

SIDE: Final = 800
"""Of the square that is drawn on, in units of a drawing, and in pixels of the picture."""

FINER: Final = 2
"""It is drawn so many times as large, and scaled down: no steps in slanted lines."""

Colour = tuple[int, int, int]
Point = tuple[float, float]


class Pen:
    """Draws on a square of 800 × 800; boxes are left, top, right, bottom."""

    def __init__(self, image: Image.Image) -> None:
        self._draw = ImageDraw.Draw(image)

    def box(self, *box: float, fill: Colour, radius: float = 0) -> None:
        """A rectangle, with round corners where there is a radius."""
        self._draw.rounded_rectangle(_scaled(box), radius * FINER, fill=fill)

    def oval(self, *box: float, fill: Colour) -> None:
        """An ellipse."""
        self._draw.ellipse(_scaled(box), fill=fill)

    def disc(self, x: float, y: float, radius: float, fill: Colour) -> None:
        """A circle around a point."""
        self.oval(x - radius, y - radius, x + radius, y + radius, fill=fill)

    def ring(self, x: float, y: float, radius: float, fill: Colour, width: float) -> None:
        """The edge of a circle, inwards."""
        box = _scaled((x - radius, y - radius, x + radius, y + radius))
        self._draw.ellipse(box, outline=fill, width=round(width * FINER))

    def shape(self, *points: Point, fill: Colour) -> None:
        """A polygon."""
        self._draw.polygon([(x * FINER, y * FINER) for x, y in points], fill=fill)

    def line(self, *points: Point, fill: Colour, width: float) -> None:
        """A line through points, with round ends."""
        scaled = [(x * FINER, y * FINER) for x, y in points]
        self._draw.line(scaled, fill=fill, width=round(width * FINER), joint="curve")
        for x, y in (points[0], points[-1]):
            self.disc(x, y, width / 2, fill)

    def arc(self, *box: float, start: float, end: float, fill: Colour, width: float) -> None:
        """A part of an ellipse's edge, in degrees, clockwise from the right."""
        self._draw.arc(_scaled(box), start, end, fill=fill, width=round(width * FINER))

    def pie(self, *box: float, start: float, end: float, fill: Colour) -> None:
        """A slice of an ellipse."""
        self._draw.pieslice(_scaled(box), start, end, fill=fill)


def _scaled(box: Sequence[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return left * FINER, top * FINER, right * FINER, bottom * FINER


def darker(colour: Colour, by: float = 0.25) -> Colour:
    """The colour with so much of its light taken away."""
    red, green, blue = colour
    return round(red * (1 - by)), round(green * (1 - by)), round(blue * (1 - by))


def lighter(colour: Colour, by: float = 0.25) -> Colour:
    """The colour so much nearer to white."""
    red, green, blue = colour
    return round(red + (255 - red) * by), round(green + (255 - green) * by), round(blue + (255 - blue) * by)
