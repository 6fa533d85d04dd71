"""Draw the README's figure of IBN-Net on photographs, from the kept results.

    python tools/draw_photographs.py                # data/photographs.svg

Left: scores of each seed at home and in the unseen domain. Right: differences to BN in the unseen
domain of every finished source, with the 95 % t-interval over seeds. Frames of one video resemble
each other, so the interval does not draw them.
"""

import argparse
import statistics
import sys
from pathlib import Path

import matplotlib
from kept_tables import KEPT, place
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from photograph_tables import finished

from ibn_seg.errors import UserError
from ibn_seg.leaderboard.compare import compare
from ibn_seg.leaderboard.comparison import Comparison, Row
from ibn_seg.leaderboard.read import read_board
from ibn_seg.methods.all_methods import BASELINE
from ibn_seg.report.method_looks import FIXED_LOOKS, LIGHT

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "data" / "photographs.svg"

_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "ibn_seg", "font.family": "sans-serif",
             "font.size": 11}  # fmt: skip


def draw(kept: Path, out: Path) -> None:
    """Draw the figure.

    Args:
        kept: The folder of the kept results.
        out: The SVG file.

    Raises:
        UserError: The results lack a baseline or a target.
    """
    found = compare(read_board([kept]), BASELINE)
    if not found or not found[0].targets or found[0].baseline is None:
        raise UserError(f"{kept}: no {BASELINE} with an unseen target", "run the whole plan")
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(9.2, 3.6), layout="constrained", facecolor="white")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
        _at_home_and_abroad(left, found[0])
        _differences(right, finished(found))
        figure.savefig(out, metadata={"Date": None})


def _rows(found: Comparison) -> list[Row]:
    """Return the methods of the first backbone that the package names, without the ablations."""
    return [row for row in found.groups[0].ranked if row.method in FIXED_LOOKS]


def _at_home_and_abroad(axes: Axes, found: Comparison) -> None:
    """Draw each seed's scores as a thin line from source to target, their mean as a strong one."""
    columns = (found.sources[0], found.targets[0])
    for row in _rows(found):
        look = FIXED_LOOKS[row.method]
        colour = LIGHT[look.colour]
        scores = [row.scores[column].values for column in columns]
        for pair in zip(*scores, strict=True):
            axes.plot((0, 1), pair, color=colour, linewidth=0.8, alpha=0.45)
        means = [statistics.fmean(values) for values in scores]
        axes.plot((0, 1), means, color=colour, linewidth=2.4, marker=look.marker,
                  label=row.method)  # fmt: skip
        axes.annotate(f"{means[1]:.1f}", (1, means[1]), (8, 0), textcoords="offset points",
                      va="center")  # fmt: skip
    axes.set_xticks((0, 1), [f"{place(columns[0])}\n(source)",
                             f"{place(columns[1])}\n(never seen)"])  # fmt: skip
    axes.set_xlim(-0.15, 1.3)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("mIoU (%)")
    axes.set_title("Each line is a seed", fontsize=11)
    axes.legend(frameon=False, loc="lower left")
    _plain(axes, "y")


def _differences(axes: Axes, found: list[Comparison]) -> None:
    """Draw the differences to the baseline on each target, with their intervals."""
    names = []
    for one in found:
        for target in one.targets:
            rows = [row for row in _rows(one) if target in row.differences]
            for k, row in enumerate(rows):
                _difference(axes, row, target, len(names) + 0.22 * (2 * k - len(rows) + 1))
            names.append(f"{place(one.source)} → {place(target)}")
    axes.axvline(0, color="#6b7280", linewidth=1.1)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(f"points of mIoU over {BASELINE}, unseen domain")
    axes.set_title("Difference to BN, 95 % interval over seeds", fontsize=11)
    _plain(axes, "x")


def _difference(axes: Axes, row: Row, target: str, at: float) -> None:
    """Draw one difference; it is hollow without an interval, as with one seed."""
    look, difference = FIXED_LOOKS[row.method], row.differences[target]
    colour = LIGHT[look.colour]
    interval = difference.interval
    if not interval.images_only:
        axes.plot((interval.low, interval.high), (at, at), color=colour, linewidth=2.2)
    axes.plot(difference.per_seed.mean, at, color=colour, marker=look.marker,
              markerfacecolor="none" if interval.images_only else colour)  # fmt: skip


def _plain(axes: Axes, grid: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--kept", type=Path, default=KEPT / "photographs", help="folder of the kept results"
    )
    parser.add_argument("-o", "--out", type=Path, default=OUT, help="default: %(default)s")
    given = parser.parse_args()
    try:
        draw(given.kept, given.out)
    except UserError as error:
        print(f"error: {error.line}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
