"""Write the page that compares the field's methods, from the kept results of two plans.

    python tools/write_methods_page.py              # docs/methods-results.md
    python tools/write_methods_page.py --check      # writes nothing; exit code 2 if a table is old

The plans are `methods` and `methods_photographs`, kept in data/benchmark by tools/keep_results.py.
`data/benchmark/methods/costs.json` is what `tools/benchmark/method_costs.py --json` wrote. A page
that is not there yet is begun with a section for all that is finished. One that is there keeps its
text, and its tables are written anew. Methods that lack a seed of BN's are left out.
"""

import argparse
import functools
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmark.timing import ratio
from kept_tables import (
    KEPT,
    ROOT,
    Kept,
    difference_text,
    heads,
    over_baseline,
    place,
    scores_of,
    tables_of,
)

from ibn_seg.analyses.adaptation.numbers import adaptation_tables
from ibn_seg.errors import UserError
from ibn_seg.io import read_json, write_text
from ibn_seg.leaderboard.comparison import TARGETS, Comparison, Row
from ibn_seg.methods.all_methods import BASELINE, PLUS, find_method, is_method
from ibn_seg.report.marked_tables import Lines, filled, rewrite
from ibn_seg.report.tables import number, stat_text
from ibn_seg.statistics import LEAST_METHODS, rank_correlation

PAGE = ROOT / "docs" / "methods-results.md"
# The plans: rendered scenes, and photographs, whose intervals are over seeds alone.
RENDERED, REAL = "methods", "methods_photographs"
PLANS = (RENDERED, REAL)
COSTS = Path(RENDERED) / "costs.json"
# The blocks of methods that see no image of the target; a cross has one method of each.
BLOCKS = ("layers", "randomisation", "crosses")
_BLOCK_OF = {"features": "randomisation", "images": "randomisation"}


def block_of(name: str) -> str:
    """Return the block in which a method stands."""
    kind = find_method(name).kind
    return "crosses" if PLUS in name else _BLOCK_OF.get(kind, kind)


def is_kept(kept: Kept, plan: str) -> bool:
    """Tell whether results of a plan are kept."""
    return (kept.folder / plan / "kept.json").is_file()


def finished_rows(kept: Kept, plan: str, block: str | None = None) -> list[Row]:
    """Return BN and the methods of a block, or of all, that have all seeds of BN.

    Raises:
        UserError: There is no BN, so nothing can be compared.
    """
    rows = [row for row in kept.comparison(plan).groups[0].ranked if is_method(row.method)]
    seeds = next((row.seeds for row in rows if row.method == BASELINE), None)
    if seeds is None:
        raise UserError(f"{plan}: no {BASELINE} among the kept results", "run it with its plan")
    return [
        row
        for row in rows
        if row.method == BASELINE
        or (row.seeds == seeds and block in (None, block_of(row.method)))
    ]  # fmt: skip


def scores(plan: str, block: str, kept: Kept) -> Lines:
    """Return the scores of a block's methods, and their differences to BN."""
    found, rows = kept.comparison(plan), finished_rows(kept, plan, block)
    group = replace(found.groups[0], rows=tuple(rows))
    columns = list(found.columns)
    lines = [["", *heads(found, columns), f"over BN: {_ranking(found)}", "over BN: source"]]
    for row in rows:
        cells = scores_of(row, group, columns)
        lines.append([row.method, *cells, *over_baseline(row, found)])
    return lines


def winners(kept: Kept) -> Lines:
    """Return, for every domain, the best method of each block, with its difference to BN."""
    blocks = [block for block in BLOCKS if any(_has(kept, plan, block) for plan in PLANS)]
    lines = [["tested on", BASELINE, *(f"best of {block}" for block in blocks)]]
    for plan in filter(functools.partial(is_kept, kept), PLANS):
        found = kept.comparison(plan)
        (base,) = (row for row in finished_rows(kept, plan) if row.method == BASELINE)
        for column in dict.fromkeys((*found.targets, found.primary, *found.sources)):
            cells = [_best(kept, plan, column, block) for block in blocks]
            lines.append([*heads(found, [column]), stat_text(base.scores[column]), *cells])
    return lines


def _best(kept: Kept, plan: str, column: str, block: str) -> str:
    rows = [row for row in finished_rows(kept, plan, block) if row.method != BASELINE]
    if not rows:
        return ""
    best = max(rows, key=lambda row: row.scores[column].mean)
    over = difference_text(best.differences.get(column))
    return f"{best.method} {number(best.scores[column].mean)}; {over}"


def agreement(kept: Kept) -> Lines:
    """Return what methods gain over BN on rendered scenes and on photographs, and how alike."""
    found = [kept.comparison(plan) for plan in PLANS]
    sides = [{row.method: row for row in finished_rows(kept, plan)} for plan in PLANS]
    both = [name for name in sides[0] if name in sides[1]]
    # The scores that rank methods, for each side.
    values = [
        {name: side[name].scores[one.primary].values for name in both}
        for side, one in zip(sides, found, strict=True)
    ]
    names = ("rendered", "photographs")
    titles = (f"{name}: {_ranking(one)}" for name, one in zip(names, found, strict=True))
    lines = [["over BN", *titles]]
    for name in sorted(both, key=lambda name: -statistics.fmean(values[0][name])):
        if name != BASELINE:
            cells = [
                difference_text(side[name].differences.get(one.primary))
                for side, one in zip(sides, found, strict=True)
            ]
            lines.append([name, *cells])
    if len(both) >= LEAST_METHODS:
        alike = rank_correlation(*values)
        tau = f"{alike.tau:.2f} [{alike.interval.low:.2f}, {alike.interval.high:.2f}]"
        chance = f"as alike by chance: {number(100 * alike.chance)} %"
        lines.append(["Kendall's tau of both orders", tau, chance])
    return lines


def test_time(kept: Kept) -> Lines:
    """Return the scores of networks as trained, and adapted to the domain that they see."""
    tables = [
        table
        for plan in PLANS
        if is_kept(kept, plan)
        for table in adaptation_tables(kept.board(plan))
    ]
    ways = list(dict.fromkeys(name for table in tables for name in table.columns))
    lines = [["", *ways]]
    for table in tables:
        for row in table.rows:
            stats = [row.values.get(name) for name in ways]
            cells = ["" if stat is None else stat_text(stat) for stat in stats]
            lines.append([f"{row.method} on {place(table.of)}", *cells])
    return lines


def costs(kept: Kept) -> Lines:
    """Return the costs of each method over BN's: median and quartiles over the turns."""
    methods = read_json(kept.folder / COSTS)["methods"]
    base = methods[BASELINE]
    lines = [["", "training step", "reading a batch", "inference", "parameters", "saved MiB"]]
    for name, one in methods.items():
        times = [ratio(one[part], base[part]) for part in ("learn", "read", "predict")]
        cells = [text.replace(" | ", " (") + ")" for text in times]
        more = one["parameters"] - base["parameters"]
        lines.append([name, *cells, f"{more:+,}", f"{one['saved_mib']:.0f}"])
    return lines


def _ranking(found: Comparison) -> str:
    return "mean of the targets" if found.primary == TARGETS else place(found.primary)


def _has(kept: Kept, plan: str, block: str) -> bool:
    """Tell whether a method of a block is finished in a plan."""
    return is_kept(kept, plan) and len(finished_rows(kept, plan, block)) > 1


def available(kept: Kept) -> dict[str, Callable[[Kept], Lines]]:
    """Return the tables, by name, for which there are results."""
    tables: dict[str, Callable[[Kept], Lines]] = {}
    for plan in PLANS:
        for block in BLOCKS:
            if _has(kept, plan, block):
                tables[f"{plan}-{block}"] = functools.partial(scores, plan, block)
    if tables:
        tables["winners"] = winners
    if all(any(f"{plan}-{block}" in tables for block in BLOCKS) for plan in PLANS):
        tables["agreement"] = agreement
    if len(test_time(kept)) > 1:
        tables["test-time"] = test_time
    if (kept.folder / COSTS).is_file():
        tables["costs"] = costs
    return tables


class Part:
    """A section of a page that is begun.

    Args:
        title: Its heading.
        text: What stands before its tables.
        tables: The names of its tables.
    """

    def __init__(self, title: str, text: str, *tables: str) -> None:
        self.title, self.text, self.tables = title, text, tables


def _by_plan(block: str) -> list[str]:
    return [f"{plan}-{block}" for plan in PLANS]


_BEGIN = """# The field's methods compared

What methods of domain generalisation gain over batch norm, in one network under one protocol.

```bash
ibn-seg leaderboard data/benchmark/{plan} -o work_dirs/{plan}.html
```

The network is a ResNet-18 with an all-MLP head. All methods learn from scratch and see the
same crops. Hyper-parameters are the published ones, and nothing is tuned on a target. [Use
methods](use-methods.md) says what each name means.

Scores are mIoU in percent, of the last checkpoint: mean ± standard deviation over seeds. Brackets
hold 95 % intervals of differences to BN, paired by seed. The plan `methods` trains on rendered
scenes, and `methods_photographs` on CamVid by day. CamVid's dusk is one video, so the intervals of
photographs are over seeds alone.
"""
PARTS = (
    Part("What wins where", "The best method of each block, and its difference to BN.", "winners"),
    Part(
        "Rendered and real", "Do rendered scenes and photographs order methods alike?", "agreement"
    ),
    Part("Layers", "Norms and whitening, at the places of their papers.", *_by_plan("layers")),
    Part(
        "Randomisation",
        "Features or images change at random in training. Inference stays that of BN.",
        *_by_plan("randomisation"),
    ),
    Part("Crosses", "Methods of several blocks together.", *_by_plan("crosses")),
    Part(
        "Test time",
        "These rows see images of the target, so they compete with no row of another table. The\n"
        "number is how many images the method sees at once.",
        "test-time",
    ),
    Part("Costs", "Each method over BN: medians of the ratios in turns, and quartiles.", "costs"),
)


def begun(kept: Kept) -> str:
    """Return a page with a section for all that is finished.

    Raises:
        UserError: No method is finished.
    """
    tables = available(kept)
    if "winners" not in tables:
        raise UserError(
            f"{kept.folder}: no finished method of {' or '.join(PLANS)}",
            "run a plan, and keep its results with tools/keep_results.py",
        )
    first = next(plan for plan in PLANS if is_kept(kept, plan))
    text = _BEGIN.format(plan=first)
    for part in PARTS:
        marks = [
            f"<!-- table: {name} -->\n<!-- end -->\n" for name in part.tables if name in tables
        ]
        if marks:
            text += "\n".join([f"\n## {part.title}\n", f"{part.text}\n", *marks])
    return filled(text, tables_of(kept, tables), PAGE.name)


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("page", nargs="?", type=Path, default=PAGE)
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of the kept results")
    parser.add_argument("--check", action="store_true", help="write nothing")
    given = parser.parse_args()
    kept = Kept(given.kept)
    try:
        if given.page.is_file():
            return rewrite([given.page], tables_of(kept, available(kept)), check=given.check)
        if not given.check:
            write_text(given.page, begun(kept))
            print(f"{given.page}: begun")
    except UserError as error:
        print(f"error: {error.line}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
