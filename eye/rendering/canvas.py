"""A drawing as a list of shapes, written as SVG text or as PNG: what `eye.pictures` composes, whatever the format."""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from typing import Any

FONT = "DejaVu Sans, Segoe UI, Noto Sans, Noto Sans CJK JP, Meiryo, sans-serif"
PNG_SCALE = 2
"""PNG pixels a unit: sharp on today's screens."""
SYSTEM_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "meiryo.ttc",
    "msgothic.ttc",
    "Hiragino Sans GB.ttc",
    "fonts-japanese-gothic.ttf",
)
"""Fonts with Japanese letters, as Linux, Windows and macOS name them."""
BASELINE = 0.78
"""Baseline of text as a share of its height."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    colour: str  # "#rrggbb"


@dataclass(frozen=True, slots=True)
class Area:
    """A filled polygon."""

    points: tuple[tuple[float, float], ...]
    colour: str


@dataclass(frozen=True, slots=True)
class Text:
    """Text with its top left corner at (x, y)."""

    x: float
    y: float
    text: str
    size: float
    colour: str


Shape = Rectangle | Area | Text


@dataclass
class Drawing:
    """Shapes on a plane of `width` × `height` units, later ones above earlier ones."""

    width: float
    height: float
    background: str
    shapes: list[Shape] = field(default_factory=list)

    def rectangle(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """Add a filled rectangle with its upper left corner at (x, y), px."""
        self.shapes.append(Rectangle(x, y, width, height, colour))

    def area(self, points: list[tuple[float, float]], colour: str) -> None:
        """Add a filled polygon with these corners, px."""
        self.shapes.append(Area(tuple(points), colour))

    def text(self, x: float, y: float, text: str, size: float, colour: str) -> None:
        """Add a line of text at (x, y), px."""
        self.shapes.append(Text(x, y, text, size, colour))


def to_svg(drawing: Drawing) -> str:
    """The drawing as an SVG document; text from strangers is escaped."""
    size = f'width="{drawing.width:g}" height="{drawing.height:g}" viewBox="0 0 {drawing.width:g} {drawing.height:g}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONT}">',
        f'<rect width="100%" height="100%" fill="{drawing.background}"/>',
    ]
    for shape in drawing.shapes:
        if isinstance(shape, Rectangle):
            place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" height="{shape.height:.1f}"'
            lines.append(f'<rect {place} fill="{shape.colour}"/>')
        elif isinstance(shape, Area):
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
            lines.append(f'<polygon points="{points}" fill="{shape.colour}"/>')
        else:
            place = f'x="{shape.x:.1f}" y="{shape.y + BASELINE * shape.size:.1f}" font-size="{shape.size:g}"'
            lines.append(f'<text {place} fill="{shape.colour}">{escape(_printable(shape.text))}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _printable(text: str) -> str:
    """Without the control characters that no XML document may hold."""
    return "".join(character for character in text if character.isprintable())


def to_png(drawing: Drawing) -> bytes:
    """The drawing as a PNG image, `PNG_SCALE` pixels a unit."""
    from PIL import Image, ImageDraw

    scale = PNG_SCALE
    image = Image.new("RGB", (round(drawing.width * scale), round(drawing.height * scale)), drawing.background)
    pen = ImageDraw.Draw(image)
    for shape in drawing.shapes:
        if isinstance(shape, Rectangle):
            left, top = round(shape.x * scale), round(shape.y * scale)
            right = max(round((shape.x + shape.width) * scale) - 1, left)
            bottom = max(round((shape.y + shape.height) * scale) - 1, top)
            pen.rectangle((left, top, right, bottom), fill=shape.colour)
        elif isinstance(shape, Area):
            pen.polygon([(x * scale, y * scale) for x, y in shape.points], fill=shape.colour)
        else:
            text = _printable(shape.text).replace("–", "-")  # which the built-in font lacks
            pen.text((shape.x * scale, shape.y * scale), text, fill=shape.colour, font=_font(text, shape.size * scale))
    data = io.BytesIO()
    image.save(data, "PNG", optimize=True)
    return data.getvalue()


def _font(text: str, size: float) -> Any:
    """Pillow's own font for Latin text; for other scripts one of the system, where it has one (else boxes are drawn)."""
    from PIL import ImageFont

    if not text.isascii():
        for name in SYSTEM_FONTS:
            with suppress(OSError):
                return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)
