"""Tables of an analysis's results by method and seed, unrounded."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ibn_seg.errors import UserError
from ibn_seg.report.board import ADAPTED, Board, Measurement
from ibn_seg.report.number_record import Record, over_seeds, role_of
from ibn_seg.report.result_owner import DAMAGE
from ibn_seg.report.runs import order_methods
from ibn_seg.report.scores import is_best
from ibn_seg.report.table import Part
from ibn_seg.report.tables import Cell
from ibn_seg.statistics import SeedSummary, summarise

Row = TypeVar("Row")


@dataclass(frozen=True, eq=False)
class Measured:
    """One method's values in an analysis.

    Args:
        method: Its name.
        values: The measurements over seeds by column; None where there is no value.
        runs: The results behind the values, by seed.
    """

    method: str
    values: dict[str, SeedSummary | None]
    runs: tuple[Measurement, ...]

    @property
    def sees_target(self) -> bool:
        """Whether the method adapts to images of the target at test time."""
        return any(run.sees_target for run in self.runs)


@dataclass(frozen=True, eq=False)
class AnalysisTable:
    """One analysis as methods x columns, for one backbone, segmentor and source.

    Args:
        task: Name of the analysis.
        of: The subject of the measurement, such as the pair of sides or the domain.
        shape: Backbone, segmentor and source.
        columns: Names of the columns, such as groups of layers.
        rows: The methods.
        few_images: Whether a side had fewer pictures than the command's default.
    """

    task: str
    of: str
    shape: tuple[str, str, str]
    columns: tuple[str, ...]
    rows: tuple[Measured, ...]
    few_images: bool = False

    def rivals(self, row: Measured, column: str) -> list[SeedSummary]:
        """Return the values of a column among which a row's may be the best.

        Methods that adapt to images of the target never compete with others.
        """
        rows = (other for other in self.rows if other.sees_target == row.sees_target)
        return [other.values[column] for other in rows if other.values[column] is not None]


def method_parts(
    methods: Iterable[Row], cells: Callable[[Row], tuple[Cell, ...]], title: str | None = None
) -> tuple[Part, ...]:
    """Return the rows of a table; methods that adapt to images of the target have their own part.

    Args:
        methods: The methods, such as `Measured`; each has `sees_target`.
        cells: Returns the cells of a method.
        title: What the rows have in common; None if the caption says it.
    """
    methods = list(methods)
    parts = []
    for sees_target in (False, True):
        rows = tuple(cells(row) for row in methods if row.sees_target == sees_target)
        name = ", ".join(filter(None, (title, ADAPTED))) if sees_target else title
        if rows:
            parts.append(Part(name, rows))
    return tuple(parts)


def runs_by_shape(board: Board, task: str) -> dict[tuple[str, str, str], list[Measurement]]:
    """Return the results of an analysis by backbone, segmentor and source."""
    found: dict[tuple[str, str, str], list[Measurement]] = {}
    for run in board.analyses:
        if run.task == task:
            found.setdefault((run.backbone, run.segmentor, run.source), []).append(run)
    return found


def part_of(run: Measurement, key: str) -> Mapping:
    """Return a mapping of a result.

    Raises:
        UserError: The mapping is missing.
    """
    part = run.content.get(key)
    if not isinstance(part, Mapping):
        raise UserError(f"{run.result}: has no {key!r}", f"run `ibn-seg {run.task}` again")
    return part


def checked(
    run: Measurement, read: Callable[[Measurement, str], dict[str, float | None]], of: str
) -> dict[str, float | None]:
    """Return the values of a result; raise one `UserError` for any defect."""
    try:
        return read(run, of)
    except UserError:
        raise
    except DAMAGE as error:
        raise UserError(
            f"{run.result}: {of!r} is damaged ({error!r})", f"run `ibn-seg {run.task}` again"
        ) from error


def analysis_table(
    task: str,
    of: str,
    shape: tuple[str, str, str],
    runs: Sequence[Measurement],
    values: Mapping[int, Mapping[str, float | None]],
    few: bool = False,
) -> AnalysisTable:
    """Return one table of an analysis.

    Args:
        task: Name of the analysis.
        of: The subject of the measurement: the pair of sides, or the domain.
        shape: Backbone, segmentor and source.
        runs: The results.
        values: The values of each result, by the `id` of the result and by column.
        few: Whether a side had fewer pictures than the command's default.
    """
    columns = tuple(dict.fromkeys(name for run in runs for name in values[id(run)]))
    rows = []
    for method in order_methods([run.method for run in runs]):
        mine = tuple(sorted((r for r in runs if r.method == method), key=lambda run: run.seed))
        found = {name: [values[id(run)].get(name) for run in mine] for name in columns}
        summaries = {n: None if None in some else summarise(some) for n, some in found.items()}
        rows.append(Measured(method, summaries, mine))
    return AnalysisTable(task, of, shape, columns, tuple(rows), few)


def tables_by_part(
    board: Board, task: str, part: str, values: Callable[..., dict[str, float | None]]
) -> list[AnalysisTable]:
    """Return a table of an analysis for each shape and each name in a part of its results.

    Args:
        board: Everything that the leaderboard has read.
        task: The analysis.
        part: The key of the results whose names have tables of their own, such as 'domains'.
        values: Returns a row's values by column, given a result and a name.
    """
    tables = []
    for shape, runs in runs_by_shape(board, task).items():
        for name in dict.fromkeys(name for run in runs for name in part_of(run, part)):
            having = [run for run in runs if name in run.content[part]]
            found = {id(run): checked(run, values, name) for run in having}
            tables.append(analysis_table(task, name, shape, having, found))
    return tables


def is_highest(found: AnalysisTable, row: Measured, column: str) -> bool:
    """Tell whether a row has the highest mean of a column, where that is the best."""
    stat = row.values[column]
    return stat is not None and is_best(stat, found.rivals(row, column))


def analysis_records(
    board: Board, found: AnalysisTable, quantity: str, unit: str
) -> Iterator[Record]:
    """Yield every number of one table of an analysis.

    Args:
        board: Everything that the leaderboard has read.
        found: The table.
        quantity: The kind of number, as in `Record`.
        unit: Their unit.
    """
    backbone, segmentor, source = found.shape
    for row in found.rows:
        facts = {
            "unit": unit, "source": source, "backbone": backbone, "segmentor": segmentor,
            "method": row.method, "role": role_of(row), "selection": board.selection or "",
            "protocol": board.protocol,
        }  # fmt: skip
        for column, stat in row.values.items():
            where = {"domain": found.of, "condition": column}
            if stat is None:
                yield Record(quantity, remark="no value", **facts, **where)
            else:
                yield from over_seeds(quantity, stat, row.runs, facts, **where)


def named_content(run: Measurement) -> Mapping[str, Any]:
    """Return a result with its network's names from the benchmark's index."""
    names = {"method": run.method, "backbone": run.backbone, "seed": run.seed}
    return {**run.content, "name": str(run.result), **names}


def seeds_of(row: Measured) -> tuple[int, ...]:
    """Return the training seeds of a row."""
    return tuple(run.seed for run in row.runs)


def shape_words(shape: tuple[str, str, str]) -> str:
    """Return backbone, segmentor and source in words."""
    backbone, segmentor, source = shape
    return f"{backbone}, {segmentor}, trained on {source}"
