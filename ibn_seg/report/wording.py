"""Writes the report's sentences: the outcome, the runs, and the limits of the numbers."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ibn_seg.methods.all_methods import find_method, is_method
from ibn_seg.provenance import source_domains
from ibn_seg.report.runs import Run, order_methods
from ibn_seg.report.scores import Difference, SummaryRow
from ibn_seg.report.tables import (
    difference_text,
    duration,
    memory,
    number,
    sign,
    stat_text,
)

# Settings in which runs should be alike, with their names on the page.
_ALIKE = {
    "segmentor": "segmentor", "pretraining": "pretraining", "iterations": "iterations",
    "processes": "processes", "device": "device", "threads": "threads", "cpu": "CPU",
    "git_commit": "commit",
}  # fmt: skip


@dataclass(frozen=True)
class Headline:
    """The outcome in one sentence, and its details."""

    text: str
    details: tuple[str, ...]


def headline(rows: Sequence[SummaryRow]) -> Headline:
    """Return the outcome in words, a loss as plainly as a gain; one seed shows neither."""
    compared = [row for row in rows if row.difference]
    if not compared:
        return _headline_without_baseline(rows)
    top = best_row(rows)
    difference, where = top.difference, _where(top)
    points, base = f"{number(abs(difference.stat.mean))} points of mIoU", difference.baseline
    direction = sign(difference.stat.mean)
    if difference.stat.n == 1:
        side = {1: f"{points} above", 0: "level with", -1: f"{points} below"}[direction]
        text = f"With one seed, {top.method} reads {side} {base} {where}."
    elif direction > 0:
        text = f"{top.method} gains {points} {where} over {base}{_how_often(difference)}."
    elif direction == 0:
        text = f"{top.method} is level with {base} {where}{_how_often(difference)}."
    elif len(compared) == 1:
        text = f"{top.method} loses {points} {where} against {base}{_how_often(difference)}."
    else:
        text = (
            f"No method gains {where} over {base}: {top.method} comes closest, "
            f"{points} below{_how_often(difference)}."
        )
    return Headline(text, tuple(_change(row, rows) for row in compared))


def best_row(rows: Sequence[SummaryRow]) -> SummaryRow:
    """Return the row of the headline: the largest difference to the baseline, else the best."""
    compared = [row for row in rows if row.difference]
    if compared:
        return max(compared, key=lambda row: row.difference.stat.mean)
    return max(rows, key=lambda row: row.primary.stat.mean)


def introduction(runs: Sequence[Run]) -> str:
    """Return the paragraph that explains the report to a reader without context."""
    first = runs[0]
    several = len(source_domains(first.source)) > 1
    sources = "several domains, the sources" if several else "one domain, the source"
    places = [f"on held-out images of the source{'s' * several}"] if first.sources else []
    if first.targets:
        kind = "domains" if len(first.targets) > 1 else "a domain"
        places.append(f"on {kind} never seen ({_join(first.targets)})")
    how, adapted = " without adaptation", _adapted(runs)
    text = (
        f"Networks that label every pixel of a street scene were trained on {sources} "
        f"{_join(source_domains(first.source))}, and evaluated{'' if adapted else how} "
        f"{_join(places)}. {adapted}The score is mIoU in percent: the overlap of predicted and "
        "true pixels of each class, averaged over the classes; higher is better."
    )
    if first.gap is not None:
        owner = "mean of the sources' scores" if several else "source's score"
        text += f" The gap is the {owner} minus the targets'."
    return text


def _adapted(runs: Sequence[Run]) -> str:
    """Return the sentence on methods that adapt to the images they are evaluated on, if any do."""
    names = order_methods([run.method for run in runs if run.sees_target])
    if not names:
        return ""
    return f"{_join(names)} adapt{'s' * (len(names) == 1)} to the images of each domain. "


def methods_note(runs: Sequence[Run]) -> str:
    """Return the summaries of the methods that this package knows."""
    names = order_methods([run.method for run in runs])
    return " ".join(f"{name}: {find_method(name).summary}." for name in names if is_method(name))


def classes_notes(runs: Sequence[Run]) -> list[str]:
    """Return sentences on domains that are scored over different classes, if there are some."""
    first = runs[0]
    if first.one_list:
        return []
    sizes = ", ".join(f"{name} {len(scores.classes)}" for name, scores in first.domains.items())
    notes = [f"Domains are scored over different numbers of classes: {sizes}."]
    if first.targets and first.compared != first.targets:
        notes.append(f"They have no common mean; methods are compared on {_join(first.compared)}.")
    if first.gap is not None:
        notes.append("The gap is over the targets' classes, into which the source's are merged.")
    return notes


def absent_notes(runs: Sequence[Run]) -> list[str]:
    """Return sentences on the classes that the labels of a domain lack."""
    notes = []
    for name, first in runs[0].domains.items():
        known = [*first.iou, *first.absent]
        predicted = [c for c in known if any(c in r.domains[name].unlabelled for r in runs)]
        absent = [c for c in known if c not in first.labelled and c not in predicted]
        if absent:
            notes.append(
                f"Without a pixel in the ground truth of {name}, and so outside its means: "
                f"{_join(absent)}."
            )
        if predicted:
            which = [
                f"{run.method} (seed {run.seed})" for run in runs if run.domains[name].unlabelled
            ]
            notes.append(
                f"Without a pixel in the ground truth of {name}, but predicted by {_join(which)}, "
                f"in whose means it counts as 0: {_join(predicted)}."
            )
    return notes


def facts(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return (term, value) pairs on the runs; where runs differ, give every value."""
    first = runs[0]
    return [
        ("Backbone", _values(runs, "backbone")),
        ("Methods", _join(order_methods([run.method for run in runs]))),
        ("Seeds", ", ".join(str(seed) for seed in sorted({run.seed for run in runs}))),
        ("Trained on", _join(source_domains(first.source))),
        *(
            (f"Evaluated on {name}", f"{scores.images} images, {_role(first, name)}")
            for name, scores in first.domains.items()
        ),
        ("Iterations", _values(runs, "iterations")),
        ("Device", _values(runs, "device")),
        ("CPU", _values(runs, "cpu")),
        ("Threads", _values(runs, "threads")),
        ("Time, all runs", _total_time(runs)),
        ("Peak memory of the process", _peak_memory(runs)),
        ("Commit", _values(runs, "git_commit")),
        ("Finished", _dates(runs)),
    ]


def versions(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return (package, version) pairs; where runs differ, give every version."""
    names = dict.fromkeys(name for run in runs for name in run.record.get("versions") or {})
    return [
        (name, _unique((run.record.get("versions") or {}).get(name) for run in runs))
        for name in names
    ]


def unequal_notes(runs: Sequence[Run]) -> list[str]:
    """Return a warning for each setting in which runs differ, except method and seed."""
    notes = [
        f"The runs differ in {name}: {_values(runs, key)}."
        for key, name in _ALIKE.items()
        if any(run.record.get(key) != runs[0].record.get(key) for run in runs)
    ]
    if any(run.record.get("versions") != runs[0].record.get("versions") for run in runs):
        notes.append("The runs differ in the versions of packages, listed below.")
    return notes


def _where(row: SummaryRow) -> str:
    role, domain = row.primary.role, row.primary.domain
    if role == "mean":
        number_of, kind = domain.split()
        return f"on the mean of the {number_of} {'unseen domains' if kind == 'targets' else kind}"
    return f"on the {'unseen' if role == 'target' else 'source'} domain {domain}"


def _how_often(difference: Difference) -> str:
    """Return the number of seeds in which the method is above."""
    n, wins = difference.stat.n, difference.wins
    every = "both" if n == 2 else f"all {n}"
    share = {n: every, 0: f"none of {n}"}.get(wins, f"{wins} of {n}")
    return f", better in {share} seeds"


def _change(row: SummaryRow, rows: Sequence[SummaryRow]) -> str:
    """Return the change of one method against the baseline on the targets and on the source."""
    difference = row.difference
    text = (
        f"{row.method}: {number(difference.baseline_mean)} to {number(difference.method_mean)} "
        f"({difference_text(row)})"
    )
    sources = [score for score in row.scores if score.role == "source"]
    if row.primary.role == "source" or len(sources) != 1:
        return text + "."
    base = next(other for other in rows if other.method == difference.baseline)
    # The two may have different seeds, so the text gives both source means.
    mine, theirs = sources[0].stat.mean, base.scores[0].stat.mean
    return f"{text}; on the source {sources[0].domain} {number(theirs)} to {number(mine)}."


def _headline_without_baseline(rows: Sequence[SummaryRow]) -> Headline:
    top = best_row(rows)
    score, where = number(top.primary.stat.mean), _where(top)
    if len(rows) > 1:
        details = tuple(
            f"{row.method}: {stat_text(row.primary.stat)} {where}."
            for row in rows
            if row is not top
        )
        return Headline(f"{top.method} reads highest {where}: {score} % mIoU.", details)
    text = f"{top.method} reaches {score} % mIoU {where}"
    if top.gap is None:
        return Headline(f"{text}.", ())
    side = "below" if top.gap.mean >= 0 else "above"
    sources = [score for score in top.scores if score.role == "source"]
    than = f"the source {sources[0].domain}" if len(sources) == 1 else "the mean of the sources"
    shown = statistics.fmean(score.stat.mean for score in sources) - top.primary.stat.mean
    # The gap may be over the targets' classes, and the sources' scores over others.
    over = "" if math.isclose(shown, top.gap.mean, abs_tol=1e-6) else " over the same classes"
    return Headline(f"{text}, {number(abs(top.gap.mean))} points {side} {than}{over}.", ())


def _role(run: Run, domain: str) -> str:
    return "held out from the source" if domain in run.sources else "never seen in training"


def _total_time(runs: Sequence[Run]) -> str:
    times = [run.record.get("wall_time_s") for run in runs]
    return duration(None if None in times else sum(times))


def _peak_memory(runs: Sequence[Run]) -> str:
    peaks = [run.record.get("peak_memory_mib") for run in runs]
    return memory(None if None in peaks else max(peaks))


def _dates(runs: Sequence[Run]) -> str:
    dates = sorted(str(run.record["date"]) for run in runs if run.record.get("date"))
    return " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else "not recorded"


def _values(runs: Sequence[Run], key: str) -> str:
    return _unique(run.record.get(key) for run in runs)


def _unique(values: Iterable[object]) -> str:
    texts = ("not recorded" if value is None else str(value) for value in values)
    return ", ".join(dict.fromkeys(texts))


def _join(names: Sequence[str]) -> str:
    """Return 'a', 'a and b' or 'a, b and c'."""
    *rest, last = names or [""]
    return f"{', '.join(rest)} and {last}" if rest else last
