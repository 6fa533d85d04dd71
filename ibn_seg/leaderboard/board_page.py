"""Makes the leaderboard's page: one HTML file that needs only the results it links to."""

from collections.abc import Sequence
from typing import Any

from ibn_seg.leaderboard.board_frame import (
    Claim,
    claim_of,
    framed,
    listed,
    training_time,
    unfinished_warnings,
)
from ibn_seg.leaderboard.comparison import TARGETS, Comparison, Group, Row
from ibn_seg.report.board import UNKNOWN, Board, Network
from ibn_seg.report.links import Links
from ibn_seg.report.section import Section
from ibn_seg.report.tables import number

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
    return framed(
        sections,
        board.heads.values(),
        [one.record for one in board.networks],
        title=title,
        introduction=introduction(board),
        claims=[one for found in comparisons for one in claims(found)],
        warnings=warnings(board),
        runs=_runs(links),
        command=command,
        facts=facts(board),
    )


def introduction(board: Board) -> str:
    """Return the page's introduction, for a reader without context."""
    adapted = any(network.sees_target for network in board.networks)
    how = "" if adapted else " without adaptation"
    text = (
        "Networks that label every pixel of a street scene, trained on one domain or several and "
        f"evaluated on others{how}. The score is mIoU in percent; higher is better. Every number "
        "links to its runs."
    )
    apart = " Networks that adapt to images of the target are ranked apart."
    return text + apart if adapted else text


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
    several = f"the mean of {len(found.targets)} targets"
    return claim_of(
        row.method,
        found.baseline,
        difference.per_seed.mean,
        None if difference.interval.images_only else difference.interval,
        seeds=len(difference.seeds),
        measure="mIoU",
        where=several if found.primary == TARGETS else found.primary,
        about=f"{group.title}, trained on {found.title}",
        sees_target=group.sees_target,
    )


def warnings(board: Board) -> list[str]:
    """Return the limits of the numbers."""
    said = unfinished_warnings(board.unfinished)
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
    cpus = [one.record.get("cpu") or UNKNOWN for one in board.networks]
    return [
        ("Benchmarks", listed(head.get("name") for head in heads)),
        ("Plans", listed(head.get("plan") for head in heads)),
        ("Evaluated as given", listed(given)),
        ("Networks", str(len(board.networks))),
        ("Selection", board.selection or "as given"),
        ("Protocol", board.protocol),
        ("Threads", listed(head.get("threads") for head in heads)),
        ("CPU", listed(cpus)),
        ("Training time", training_time(one.record for one in board.networks)),
        ("Commit", ", ".join(commits_of(board))),
        ("Finished", listed(head.get("date") for head in heads)),
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
