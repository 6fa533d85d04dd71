"""Makes the leaderboard's page: one HTML file that needs only the results it links to."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ibn_seg.leaderboard.comparison import TARGETS, Comparison, Group, Row
from ibn_seg.report.board import UNKNOWN, Board, Network
from ibn_seg.report.cell_text import interval_text
from ibn_seg.report.links import Links
from ibn_seg.report.page import asset, environment
from ibn_seg.report.section import Section
from ibn_seg.report.tables import number, sign

TITLE = "Leaderboard"


def page_text(
    board: Board,
    comparisons: Sequence[Comparison],
    sections: Sequence[Section],
    links: Links,
    *,
    title: str,
    command: str,
) -> str:
    """Return the page."""
    script = asset("leaderboard.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        environment()
        .get_template("leaderboard.html.j2")
        .render(
            title=title,
            style=asset("style.css"),
            script=script,
            script_hash=f"sha256-{digest}",
            introduction=introduction(),
            claims=[one for found in comparisons for one in claims(found)]
            or [Claim("Nothing to compare yet.", "")],
            warnings=warnings(board),
            sections=[s for s in sections if s.tables or s.charts or s.scenes],
            runs=_runs(links),
            command=command,
            facts=facts(board),
            versions=_versions(board),
            plans=_plans(board),
        )
    )


def introduction() -> str:
    """Return the page's introduction, for a reader without context."""
    return (
        "Networks that label every pixel of a street scene, trained on one domain and evaluated "
        "on others without adaptation. The score is mIoU in percent; higher is better. Every "
        "number links to its runs."
    )


@dataclass(frozen=True)
class Claim:
    """What a comparison has found.

    Args:
        text: The finding in one sentence.
        detail: Which networks it holds for, with how many seeds and which interval.
    """

    text: str
    detail: str


def claims(found: Comparison) -> list[Claim]:
    """Return how each group's best method compares to the baseline, a loss as plainly as a gain."""
    made = []
    for group in found.groups:
        compared = [row for row in group.ranked if found.primary in row.differences]
        if compared:
            top = max(compared, key=lambda row: row.differences[found.primary].per_seed.mean)
            made.append(_claim(top, found, group))
    return made


def _claim(row: Row, found: Comparison, group: Group) -> Claim:
    difference = row.differences[found.primary]
    mean, n = difference.per_seed.mean, len(difference.seeds)
    several = f"the mean of {len(found.targets)} targets"
    where = several if found.primary == TARGETS else found.primary
    points = f"{number(abs(mean))} points of mIoU on {where}"
    verbs = {1: f"gains {points} over", -1: f"loses {points} against"}
    if n == 1:  # which shows neither a gain nor a loss
        verbs = {1: f"reads {points} above", -1: f"reads {points} below"}
    verb = verbs.get(sign(mean), f"is level on {where} with")
    seeds = f"{n} seed{'s' * (n > 1)}"
    detail = f"{group.title}, trained on {found.title}; {seeds}"
    given = ["one seed"] * (n == 1) + ["images of the target"] * group.sees_target
    name = f"With {' and '.join(given)}, {row.method}" if given else row.method
    text = f"{name} {verb} {found.baseline}."
    if difference.interval.images_only:
        return Claim(text, f"{detail}, no interval.")
    certain = difference.interval.excludes_zero or sign(mean) == 0
    chance = "" if certain else ", which holds 0: it may be chance"
    return Claim(text, f"{detail}; 95 % interval {interval_text(difference)}{chance}.")


def warnings(board: Board) -> list[str]:
    """Return the limits of the numbers."""
    said = []
    if board.unfinished:
        states: dict[str, int] = {}
        for row in board.unfinished:
            states[row["state"]] = states.get(row["state"], 0) + 1
        listed = ", ".join(f"{count} {state}" for state, count in states.items())
        said.append(f"Not all cells are done ({listed}); they are listed below.")
    commits = commits_of(board)
    if len(commits) > 1:
        said.append(
            f"Results of {len(commits)} commits are shown together; see Provenance for their names."
        )
    return said


def commits_of(board: Board) -> list[str]:
    """Return the commits that trained and evaluated the networks."""
    found = (str(one.record.get("git_commit") or "no commit recorded") for one in board.networks)
    return list(dict.fromkeys(found))


def facts(board: Board) -> list[tuple[str, str]]:
    """Return the facts of the runs, by term."""
    heads = list(board.heads.values())
    given = [one.name for one in board.networks if not one.selected]
    times = [one.record.get("wall_time_s") for one in board.networks]
    known = [time for time in times if isinstance(time, int | float)]
    cpus = [one.record.get("cpu") or UNKNOWN for one in board.networks]
    return [
        ("Benchmarks", _listed(head.get("name") for head in heads)),
        ("Plans", _listed(head.get("plan") for head in heads)),
        ("Evaluated as given", _listed(given)),
        ("Networks", str(len(board.networks))),
        ("Selection", board.selection or "as given"),
        ("Protocol", board.protocol),
        ("Threads", _listed(head.get("threads") for head in heads)),
        ("CPU", _listed(cpus)),
        ("Training time", f"{number(sum(known) / 3600)} h" if known else UNKNOWN),
        ("Commit", ", ".join(commits_of(board))),
        ("Finished", _listed(head.get("date") for head in heads)),
    ]


def _versions(board: Board) -> list[tuple[str, str]]:
    records = [*board.heads.values(), *(one.record for one in board.networks)]
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for name, version in (record.get("versions") or {}).items():
            found.setdefault(name, {})[str(version)] = None
    return [(name, ", ".join(values)) for name, values in found.items()]


def _plans(board: Board) -> list[tuple[str, str]]:
    return [
        (str(head.get("name")), head["plan_text"])
        for head in board.heads.values()
        if isinstance(head.get("plan_text"), str)
    ]


def _runs(links: Links) -> list[dict[str, Any]]:
    shown = []
    for key, runs in links.lists:
        first = runs[0]
        about = [first.backbone, first.segmentor, f"trained on {first.source or UNKNOWN}"]
        title = first.method
        if isinstance(first, Network):
            if first.start is not None:
                about.append(f"{first.share:g} % from {first.start}")
        else:
            title += f": {first.task}"
        members = [
            {
                "seed": run.seed,
                "href": links.run(run),
                "name": f"{run.result.parent.name}/{run.result.name}",
                "command": run.command,
                "scores": _scores(run) if isinstance(run, Network) else "",
            }
            for run in runs
        ]
        shown.append({"key": key, "title": title, "about": ", ".join(about), "members": members})
    return shown


def _scores(network: Network) -> str:
    return ", ".join(f"{domain} {number(value)}" for domain, value in network.scores.items())


def _listed(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values if value is not None)) or "none"
