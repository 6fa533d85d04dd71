"""A benchmark's plan: the networks to train, their data, seeds and rules.

A plan is a YAML file, see `configs/benchmark/`. Its keys are the fields of `Plan` (without `file`,
`blocks` and `left_out`), the fields of `Block`, and `also`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ibn_seg.benchmark.plan_extras import EXTRAS, read_extras
from ibn_seg.benchmark.plan_matrix import MATRIX, check_backbones, read_axes
from ibn_seg.benchmark.plan_parts import Block, Budget, PlannedAnalysis, Scenes, Transfer
from ibn_seg.benchmark.plan_rules import RULES, read_rules
from ibn_seg.benchmark.planned_cell import SEARCHING
from ibn_seg.benchmark.search_plan import SEARCH_KEYS, SearchMatrix, read_searches
from ibn_seg.config import SCHEME, config_folder
from ibn_seg.errors import unknown
from ibn_seg.statistics import OVER_BOTH
from ibn_seg.yaml_values import Reader, read_yaml

_REID_RULES = ("threads", "processes", "gpus", "budget")
_REQUIRED = ("name", "segmentors", "backbones", "methods", "seeds")


@dataclass(frozen=True)
class Plan:
    """A benchmark.

    Attributes:
        file: The plan file.
        name: Name of the benchmark.
        blocks: The matrix, and one more block for each entry of `also`. Such an entry holds only
            the keys that differ from the matrix.
        protocol: The evaluation protocol (`ibn_seg.evaluation.protocols`).
        threads: Threads of each process; numbers depend on them.
        processes: Processes of a training cell (DDP through torchrun).
        gpus: GPUs of a cell, or a share of one. None: here one for each process where there are
            GPUs, on a cluster none.
        budget: The limits of one call.
        selection: The checkpoint that counts: 'last' or 'best-on-source-validation'.
        intervals: What intervals tell about, one of `ibn_seg.statistics.INTERVALS`.
        scenes: The embedded scenes to render first.
        oracles: The same networks, trained on the targets' own training sets (its `sources`).
        analyses: Measurements on the networks of `blocks`.
        transfer: Trainings on shares of the targets' training sets.
        searches: The matrix of a plan of re-identification, which has no blocks.
        left_out: Names of targets that no cell is evaluated on. No key of a plan file: a call that
            skips missing targets sets it.
    """

    file: Path
    name: str
    blocks: tuple[Block, ...]
    protocol: str = "native"
    threads: int = 1
    processes: int = 1
    gpus: float | None = None
    budget: Budget = field(default_factory=Budget)
    selection: str = "last"
    intervals: str = OVER_BOTH
    scenes: Scenes | None = None
    oracles: Block | None = None
    analyses: tuple[PlannedAnalysis, ...] = ()
    transfer: Transfer | None = None
    searches: SearchMatrix | None = None
    left_out: tuple[str, ...] = ()

    @property
    def baseline(self) -> str:
        """The first method, with which others are compared."""
        return self.searches.methods[0] if self.searches else self.blocks[0].methods[0].name

    @property
    def rule(self) -> str:
        """The rule for checkpoints; recipes of re-identification have their own."""
        if self.searches is None:
            return self.selection
        rules = (recipe.selection for recipe in self.searches.variants.values())
        return " or ".join(dict.fromkeys(rules))

    @property
    def address(self) -> str:
        """The name for `read_plan`; valid on other machines too if the package has the plan."""
        path, folder = self.file.resolve(), config_folder().resolve()
        if not path.is_relative_to(folder):
            return str(self.file)
        return f"{SCHEME}{path.relative_to(folder).with_suffix('').as_posix()}"


def read_plan(source: str | os.PathLike) -> Plan:
    """Read and check a plan: a file, or `ibn_seg::benchmark/NAME` from the package.

    Raises:
        UserError: The file is not a plan. The line names the key, the defect and the allowed
            values.
    """
    text = os.fspath(source)
    path = Path(text)
    if text.startswith(SCHEME):
        path = _plan_of_the_package(text.removeprefix(SCHEME).removesuffix(".yaml"))
    read = Reader(path)
    content = read_yaml(path)
    if isinstance(content, Mapping) and content.get("task") == SEARCHING:
        return _search_plan(read, content)
    given = read.mapping(content, "", ("name", *RULES, "also", *EXTRAS, *MATRIX))
    for key in _REQUIRED:
        if key not in given:
            read.fail(key, "is missing", f"a plan needs {', '.join(_REQUIRED)}")
    first = Block(**read_axes(read, given, ""))
    blocks = [first]
    if "also" in given:
        for index, entry in enumerate(read.items(given["also"], "also", "[{seeds: [3]}]")):
            key = f"also.{index}"
            entry = read.mapping(entry, key, MATRIX)
            blocks.append(replace(first, **read_axes(read, entry, f"{key}.")))
    for index, block in enumerate(blocks):
        check_backbones(read, block, f"also.{index - 1}." if index else "")
    return Plan(
        path,
        read.name(given["name"], "name", "demo"),
        tuple(blocks),
        **read_rules(read, given),
        **read_extras(read, given, blocks),
    )


def _search_plan(read: Reader, content: Mapping[str, Any]) -> Plan:
    """Return a plan of re-identification.

    Raises:
        UserError: A key is missing or wrong.
    """
    given = read.mapping(content, "", ("name", *_REID_RULES, *SEARCH_KEYS))
    if "name" not in given:
        read.fail("name", "is missing", "a plan needs a name")
    return Plan(
        read.file, read.name(given["name"], "name", "reid"), (),
        searches=read_searches(read, given), **read_rules(read, given),
    )  # fmt: skip


def _plan_of_the_package(name: str) -> Path:
    """Return the file of a plan in the package."""
    folder = config_folder()
    plans = (folder / "benchmark").glob("*.yaml")
    known = {p.relative_to(folder).with_suffix("").as_posix(): p for p in plans}
    if name not in known:
        raise unknown("plan", f"{SCHEME}{name}", [f"{SCHEME}{one}" for one in sorted(known)])
    return known[name]
