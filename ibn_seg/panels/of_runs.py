"""Writes the report of any runs, with scenes that their networks predict."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import UserError
from ibn_seg.progress import progress_callback
from ibn_seg.provenance import source_domains
from ibn_seg.report.html import TITLE, write_report
from ibn_seg.report.run_files import RunFile, plan_methods, read_run_files
from ibn_seg.report.runs import read_runs

if TYPE_CHECKING:
    from mmengine.config import Config

    from ibn_seg.report import Panel

PAGE = "report.html"


def report_runs(
    runs: Sequence[str | os.PathLike],
    out: str | os.PathLike | None = None,
    *,
    source: str | None = None,
    scenes: int = 0,
    title: str = TITLE,
) -> Path:
    """Write the report of runs, which may be of several methods and seeds.

    Args:
        runs: Work dirs of trainings, tests or evaluations, or their result files.
        out: The page; default `report.html` in the first work dir.
        source: The training domain, or several joined by '+', of runs that do not state it.
        scenes: Number of images of each domain that the networks predict for the page. It needs
            their checkpoints and data.
        title: Heading of the page.

    Returns:
        The page.

    Raises:
        UserError: A run has no result, its result is damaged, or runs cannot be compared. Or a
            checkpoint or data for the scenes are missing.
        EnvError: The page cannot be written.
    """
    files = read_run_files(runs, source)
    results = [one.content for one in files]
    # What cannot be compared is refused before anything is predicted.
    read_runs(results)
    panels = _panels(files, scenes) if scenes else []
    page = out or files[0].path.parent / PAGE
    return write_report(results, panels, page, title=title, plan_methods=plan_methods(files))


def _panels(files: Sequence[RunFile], count: int) -> "list[Panel]":
    """Return evenly spaced images of each domain, those of unseen ones first.

    Only their positions decide the choice. Of each method, the network of the first seed predicts.
    """
    from ibn_seg.panels.of_benchmark import maps_of
    from ibn_seg.panels.pictures import evenly_spaced, make_panels, samples_of
    from ibn_seg.run.setup import register

    register()
    first: dict[str, RunFile] = {}
    for one in sorted(files, key=lambda one: one.content["seed"]):
        first.setdefault(one.content["method"], one)
    networks = {method: (_config(one), _checkpoint(one)) for method, one in first.items()}
    sources = source_domains(files[0].content["source"])
    samples = samples_of(next(iter(networks.values()))[0])
    chosen = [
        sample
        for domain in sorted(files[0].content["domains"], key=lambda name: name in sources)
        for sample in evenly_spaced(samples.get(domain, {}).values(), count)
    ]
    stored = {method: _matrices(one) for method, one in first.items()}
    with progress_callback("predict") as progress:
        return make_panels(
            networks,
            [(sample.domain, sample.name) for sample in chosen],
            [f"{sample.domain}, {Path(sample.path).name}" for sample in chosen],
            progress,
            maps_of({method: one for method, one in stored.items() if one is not None}),
        )


def _config(run: RunFile) -> "Config":
    """Return the config that a run has recorded."""
    from mmengine.config import Config

    text = run.content.get("config")
    if not isinstance(text, str):
        raise UserError(f"{run.path}: keeps no config", "leave --scenes out")
    return Config.fromstring(text, ".py")


def _checkpoint(run: RunFile) -> Path:
    """Return the weights of a run, also if its work dir was moved.

    Raises:
        UserError: They are gone.
    """
    named = run.content.get("checkpoint")
    for path in (Path(named), run.path.parent / Path(named).name) if named else ():
        if path.is_file():
            return path
    raise UserError(f"{run.path}: its checkpoint {named} is gone", "leave --scenes out")


def _matrices(run: RunFile) -> Any:
    """Return the stored matrices of a run, which know the maps of its classes; None without any."""
    from ibn_seg.evaluation.stored import confusions_of

    return confusions_of(run.content, run.path.parent)
