"""How a chart is drawn: axes of a linear or logarithmic scale, and marks on them, as inline SVG.

Colours and fonts come from the page's style by class, so that a chart is readable in light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

WIDTH, HEIGHT = 680, 340
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 12, 44
COLOURS = 8
"""In the style; further series repeat them with a dash."""


def series(number: int) -> str:
    """The class of a row's marks."""
    return f"s{number % COLOURS}" + (f" d{number // COLOURS % 4}" if number >= COLOURS else "")


@dataclass(frozen=True)
class Scale:
    """From values to a coordinate."""

    low: float
    high: float
    begin: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Where a value lies; what lies outside is put at the edge."""
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, self._held(value)))
        return self.begin + (self.end - self.begin) * ((at - low) / (high - low) if high > low else 0.5)

    def _held(self, value: float) -> float:
        return min(max(value, self.low), self.high)

    def ticks(self) -> list[float]:
        """Round values, four to ten of them."""
        if not self.log:
            step = 10 ** math.floor(math.log10((self.high - self.low) or 1.0))
            for part in (step, step / 2, step / 5):
                found = [k * part for k in range(math.ceil(self.low / part), math.floor(self.high / part + 1e-9) + 1)]
                if len(found) >= 4:
                    return found
            return found
        exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1, 2, 5), (1, 3), (1,)):
            found = [d * 10.0**e for e in exponents for d in digits if self.low <= d * 10.0**e <= self.high * 1.0001]
            if len(found) <= 9:
                return found
        return found[:: -(-len(found) // 8)]


@dataclass
class Axes:
    """One chart."""

    x: Scale
    y: Scale
    x_label: str
    y_label: str
    marks: list[Markup] = field(default_factory=list)

    @classmethod
    def of(
        cls, x: tuple[float, float], y: tuple[float, float], labels: tuple[str, str], log: tuple[bool, bool]
    ) -> Axes:
        """Axes that reach from the lower to the upper value."""
        across = Scale(*x, LEFT, WIDTH - RIGHT, log[0])
        return cls(across, Scale(*y, HEIGHT - BOTTOM, TOP, log[1]), *labels)

    def line(self, points: Sequence[tuple[float, float]], style: str, title: str = "") -> None:
        """A line through points."""
        path = " ".join(f"{'M' if n == 0 else 'L'}{self.x(a):.1f},{self.y(b):.1f}" for n, (a, b) in enumerate(points))
        self.marks.append(Markup('<path class="line {}" d="{}">{}</path>').format(style, path, _title(title)))

    def band(self, points: Sequence[tuple[float, float, float]], style: str) -> None:
        """The room between a lower and an upper bound."""
        upper = [f"{self.x(a):.1f},{self.y(high):.1f}" for a, _, high in points]
        lower = [f"{self.x(a):.1f},{self.y(low):.1f}" for a, low, _ in reversed(points)]
        self.marks.append(Markup('<polygon class="band {}" points="{}"/>').format(style, " ".join(upper + lower)))

    def dot(self, x: float, y: float, style: str, title: str) -> None:
        """A point with a text of its own."""
        mark = Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="3.2">{}</circle>')
        self.marks.append(mark.format(style, self.x(x), self.y(y), _title(title)))

    def text(self, x: float, y: float, words: str, anchor: str = "start") -> None:
        """Words at a point."""
        mark = Markup('<text class="note" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
        self.marks.append(mark.format(self.x(x), self.y(y), anchor, words))

    def svg(
        self, label: str, x_ticks: Sequence[tuple[float, str]] = (), y_ticks: Sequence[tuple[float, str]] = ()
    ) -> Markup:
        """The whole; `label` says what it shows to who can't see it."""
        parts = [
            Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, label)
        ]
        for at, words in x_ticks or [(tick, number(tick)) for tick in self.x.ticks()]:
            parts.append(
                Markup(
                    '<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>'
                    '<text class="tick" x="{0:.1f}" y="{3}" text-anchor="middle">{4}</text>'
                ).format(self.x(at), TOP, HEIGHT - BOTTOM, HEIGHT - BOTTOM + 16, words)
            )
        for at, words in y_ticks or [(tick, number(tick)) for tick in self.y.ticks()]:
            parts.append(
                Markup(
                    '<line class="grid" x1="{1}" x2="{2}" y1="{0:.1f}" y2="{0:.1f}"/>'
                    '<text class="tick" x="{3}" y="{4:.1f}" text-anchor="end">{5}</text>'
                ).format(self.y(at), LEFT, WIDTH - RIGHT, LEFT - 6, self.y(at) + 4, words)
            )
        middle = (TOP + HEIGHT - BOTTOM) / 2
        parts.append(
            Markup(
                '<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>'
                '<text class="axis" transform="translate(13 {}) rotate(-90)" text-anchor="middle">{}</text>'
            ).format((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, self.x_label, middle, self.y_label)
        )
        return Markup("").join([*parts, *self.marks, Markup("</svg>")])


def number(value: float) -> str:
    """A tick's words."""
    for size, unit in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def _title(words: str) -> Markup:
    return Markup("<title>{}</title>").format(words) if words else escape("")
