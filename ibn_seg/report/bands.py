"""Draws lines with bands: a quantity's mean over seeds along an axis, and its range."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from ibn_seg.report import plots
from ibn_seg.report.method_looks import LIGHT, Look

_BAND_OPACITY = 0.18


@dataclass(frozen=True)
class Band:
    """A quantity of one method along an axis, with its values over seeds.

    Args:
        name: Its name in a legend.
        look: The colour and shape of the method.
        at: The N positions, ascending.
        values: For each position, one value per seed. A position without values leaves a gap.
        dashed: Whether the line is dashed and its markers are hollow.
    """

    name: str
    look: Look
    at: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]
    dashed: bool = False

    @property
    def means(self) -> tuple[float, ...]:
        """Mean over seeds at each position; NaN where there is no value."""
        return tuple(statistics.fmean(v) if v else float("nan") for v in self.values)

    @property
    def lows(self) -> tuple[float, ...]:
        """Smallest value at each position; NaN where there is no value."""
        return tuple(min(v, default=float("nan")) for v in self.values)

    @property
    def highs(self) -> tuple[float, ...]:
        """Largest value at each position; NaN where there is no value."""
        return tuple(max(v, default=float("nan")) for v in self.values)


def draw_bands(axes: Axes, bands: Iterable[Band], colours: Sequence[str]) -> None:
    """Draw each band's mean as a line, and its range as an area where seeds differ.

    Args:
        axes: Where to draw.
        bands: The bands to draw.
        colours: The colours that looks number.
    """
    for band in bands:
        if not any(band.values):
            continue
        colour = colours[band.look.colour]
        if any(len(set(values)) > 1 for values in band.values):
            area = {"color": colour, "alpha": _BAND_OPACITY, "linewidth": 0}
            axes.fill_between(band.at, band.lows, band.highs, **area)
        axes.plot(
            band.at,
            band.means,
            color=colour,
            marker=band.look.marker,
            markersize=4.5,
            markerfacecolor="none" if band.dashed else colour,
            linewidth=1.8,
            linestyle=(0, (4, 2.5)) if band.dashed else "-",
            # Matplotlib would omit a name that begins with an underscore, and read formulas.
            label=band.name.lstrip("_").replace("$", r"\$"),
        )


def page_colours() -> list[str]:
    """Return the stand-ins for the page's colours, in their order."""
    return [plots.series_colour(k) for k in range(len(LIGHT))]


def top_of(bands: Iterable[Band], *, at_least: float = 1.0) -> float:
    """Return the end of an axis from zero that holds every value, with some space above."""
    values = (value for band in bands for at in band.values for value in at)
    return 1.06 * max(at_least, max(values, default=at_least))
