"""Measured values, and tables that show each figure as a ratio to a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

_NAME_CELLS = 48


@dataclass
class Figure:
    """The values of a repeated measurement."""

    name: str
    unit: str
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def p95(self) -> float:
        """The 95th percentile."""
        return sorted(self.values)[max(0, -(-95 * len(self.values) // 100) - 1)]


@dataclass
class Topic:
    """Figures of one kind. The first is the reference for the others."""

    title: str
    figures: Sequence[Figure]

    def ratios(self, figure: Figure) -> tuple[float, float]:
        """Return the ratio of this figure to the reference, by medians and by minima."""
        first = self.figures[0]
        return figure.median / first.median, min(figure.values) / min(first.values)

    def lines(self) -> list[str]:
        """Return the lines of the table."""
        unit = f"{self.title}, {self.figures[0].unit}"
        heading = (
            f"{unit:<{_NAME_CELLS}}{'n':>5}{'min':>10}{'median':>10}{'p95':>10}{'max':>10}{'x median':>10}{'x min':>8}"
        )
        return ["", heading, "-" * len(heading), *(self._line(figure) for figure in self.figures)]

    def _line(self, figure: Figure) -> str:
        numbers = (min(figure.values), figure.median, figure.p95, max(figure.values))
        by_median, by_minimum = self.ratios(figure)
        return "".join(
            [
                f"{figure.name:<{_NAME_CELLS}}{len(figure.values):>5}",
                *(f"{_short(number):>10}" for number in numbers),
                f"{by_median:>10.2f}{by_minimum:>8.2f}",
            ]
        )

    def plain(self) -> dict[str, Any]:
        """Return the figures as JSON types."""
        return {
            "title": self.title,
            "figures": [
                {
                    "name": figure.name,
                    "unit": figure.unit,
                    "n": len(figure.values),
                    "min": min(figure.values),
                    "median": figure.median,
                    "p95": figure.p95,
                    "max": max(figure.values),
                    "ratio_of_medians": self.ratios(figure)[0],
                    "ratio_of_minima": self.ratios(figure)[1],
                }
                for figure in self.figures
            ],
        }


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 1000 or number == int(number) else f"{number:.1f}"
