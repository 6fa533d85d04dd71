"""What the pages of segmentation and of re-identification share: the frame, claims and facts."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ibn_seg.report.board import UNKNOWN
from ibn_seg.report.page import asset, environment, style_sheet
from ibn_seg.report.section import Section
from ibn_seg.report.tables import number, sign, signed
from ibn_seg.statistics import Interval


@dataclass(frozen=True)
class Claim:
    """What a comparison has found.

    Args:
        text: The finding in one sentence.
        detail: Which networks it holds for, with how many seeds and which interval.
    """

    text: str
    detail: str


def claim_of(
    method: str,
    baseline: str,
    mean: float,
    interval: Interval | None,
    *,
    seeds: int,
    measure: str,
    where: str,
    about: str,
    sees_target: bool = False,
) -> Claim:
    """Return a difference in words, a loss as plainly as a gain; one seed shows neither.

    Args:
        method: The method.
        baseline: What it is compared with.
        mean: The mean difference, points.
        interval: Its interval; None without one.
        seeds: Number of seeds that both have.
        measure: Such as 'mIoU'.
        where: The domain, or the mean of several.
        about: Which networks it holds for.
        sees_target: Whether the method adapts to images of the target.
    """
    points = f"{number(abs(mean))} points of {measure} on {where}"
    verbs = {1: f"gains {points} over", -1: f"loses {points} against"}
    if seeds == 1:
        verbs = {1: f"reads {points} above", -1: f"reads {points} below"}
    verb = verbs.get(sign(mean), f"is level on {where} with")
    given = ["one seed"] * (seeds == 1) + ["images of the target"] * sees_target
    name = f"With {' and '.join(given)}, {method}" if given else method
    detail = f"{about}; {seeds} seed{'s' * (seeds > 1)}"
    text = f"{name} {verb} {baseline}."
    if interval is None:
        return Claim(text, f"{detail}, no interval.")
    certain = interval.excludes_zero or sign(mean) == 0
    chance = "" if certain else ", which holds 0: it may be chance"
    ends = f"[{signed(interval.low)}, {signed(interval.high)}]"
    return Claim(text, f"{detail}; 95 % interval {ends}{chance}.")


def framed(
    sections: Iterable[Section],
    heads: Iterable[Mapping[str, Any]],
    records: Iterable[Mapping[str, Any]],
    *,
    claims: Sequence[Claim],
    **content: Any,
) -> str:
    """Return a page.

    Args:
        sections: Its sections; empty ones are left out.
        heads: The indices of the benchmarks.
        records: The results of the networks.
        claims: The findings, the first as a headline.
        content: What else the template shows: title, introduction, warnings, runs, command, facts.
    """
    heads = list(heads)
    script = asset("leaderboard.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = environment().get_template("leaderboard.html.j2")
    return template.render(
        style=style_sheet(),
        script=script,
        script_hash=f"sha256-{digest}",
        sections=[one for one in sections if one.tables or one.charts or one.scenes],
        claims=claims or [Claim("Nothing to compare yet.", "")],
        versions=_versions([*heads, *records]),
        plans=[
            (str(head.get("name")), head["plan_text"])
            for head in heads
            if isinstance(head.get("plan_text"), str)
        ],
        **content,
    )


def unfinished_warnings(unfinished: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the warning about cells that are not done, if there are any."""
    if not unfinished:
        return []
    states: dict[str, int] = {}
    for row in unfinished:
        states[row["state"]] = states.get(row["state"], 0) + 1
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    return [f"Not all cells are done ({told}); they are listed below."]


def training_time(records: Iterable[Mapping[str, Any]]) -> str:
    """Return the hours of all trainings in words."""
    times = [record.get("wall_time_s") for record in records]
    known = [time for time in times if isinstance(time, int | float)]
    return f"{number(sum(known) / 3600)} h" if known else UNKNOWN


def listed(values: Iterable[object]) -> str:
    """Return each value once, joined by commas; 'none' without values."""
    return ", ".join(dict.fromkeys(str(value) for value in values if value is not None)) or "none"


def _versions(records: Iterable[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the versions of packages by name; where results differ, give every version."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for name, version in (record.get("versions") or {}).items():
            found.setdefault(name, {})[str(version)] = None
    return [(name, ", ".join(values)) for name, values in found.items()]
