"""Writes the report: one self-contained HTML file that works offline."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ibn_seg.datasets.known_classes import SPACES
from ibn_seg.io import write_text
from ibn_seg.report import plots, scores, tables, wording
from ibn_seg.report.method_looks import Look, method_looks
from ibn_seg.report.page import environment, scenes, style_sheet
from ibn_seg.report.panel_images import Panel
from ibn_seg.report.runs import DomainScores, Run, order_methods, read_runs

TITLE = "Domain generalisation report"


def write_report(
    results: Sequence[Mapping[str, Any]],
    panels: Sequence[Panel],
    out: str | Path,
    *,
    title: str = TITLE,
    notes: Sequence[str] = (),
    plan_methods: Sequence[str] = (),
) -> Path:
    """Write the report of finished runs.

    Args:
        results: Contents of result files of one experiment, one per run.
        panels: Scenes to show, in this order.
        out: The HTML file to write; an older one is replaced as a whole.
        title: Heading of the page.
        notes: Plain-text paragraphs about the runs, with facts that the results do not hold.
        plan_methods: All methods of the plan that the runs are of. Each then has the colour that
            it has on the plan's leaderboard.

    Returns:
        The file written.

    Raises:
        UserError: A result is incomplete, or the results are not of one experiment.
        EnvError: The file cannot be written.
    """
    runs = read_runs(results)
    looks = method_looks([*(run.method for run in runs), *plan_methods])
    content = _content(runs, panels, looks, title, notes)
    page = environment().get_template("report.html.j2").render(content)
    write_text(out, page)
    return Path(out)


def _content(
    runs: Sequence[Run],
    panels: Sequence[Panel],
    looks: Mapping[str, Look],
    title: str,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Return all values that the template shows."""
    rows = scores.rows_of_runs(runs)
    methods = order_methods([run.method for run in runs])
    return {
        "title": title,
        "style": style_sheet(),
        "introduction": wording.introduction(runs),
        "methods_note": wording.methods_note(runs),
        "headline": wording.headline(rows),
        "summary": tables.summary_table(rows),
        "seeds_note": tables.seeds_note(rows),
        "gap": runs[0].gap is not None,
        "absent_notes": [*wording.classes_notes(runs), *wording.absent_notes(runs)],
        "methods": [(name, looks[name]) for name in methods],
        "scenes": scenes(panels, lambda domain: _role(domain, runs[0]), methods),
        "charts": _class_charts(runs, methods, rows, looks),
        "overview": None if panels else _overview(rows, looks),
        "curves": _curve_charts(runs, methods, looks),
        "several_seeds": any(len(row.seeds) > 1 for row in rows),
        "seeds": tables.seed_table(runs),
        "facts": wording.facts(runs),
        "versions": wording.versions(runs),
        "warnings": wording.unequal_notes(runs),
        "notes": notes,
        "runs": [_recipe(run) for run in runs],
    }


def _overview(rows: Sequence[scores.SummaryRow], looks: Mapping[str, Look]) -> Markup:
    """Return the score of each method on each domain as bars, for a page without scenes."""
    bars = [
        scores.ClassRow(_column(one), {row.method: row.scores[k].stat for row in rows})
        for k, one in enumerate(rows[0].scores)
    ]
    label = f"Bars of the mIoU on each domain for {', '.join(row.method for row in rows)}"
    top = plots.bars_top(bars)
    return Markup(
        plots.class_bars(bars, "overview", label, looks, top=top, quantity="mIoU (%)", left=145)
    )


def _column(score: scores.Score) -> str:
    return f"mean of {score.domain}" if score.role == "mean" else plots.shortened(score.domain)


def _class_charts(
    runs: Sequence[Run],
    methods: Sequence[str],
    summary: Sequence[scores.SummaryRow],
    looks: Mapping[str, Look],
) -> list[dict[str, Any]]:
    """Return the bars per class of each domain, targets first, with the numbers behind them.

    Bars are sorted by the difference of the best method; the numbers have the order of the classes.
    """
    charts = []
    best = wording.best_row(summary)
    compared = f"{best.method} minus {best.baseline}" if best.difference else best.method
    order = sorted(runs[0].domains, key=lambda domain: domain in runs[0].sources)
    classes_of = {domain: _class_order(runs[0].domains[domain]) for domain in order}
    rows_of = {domain: scores.class_rows(runs, domain, classes_of[domain]) for domain in order}
    top = plots.bars_top([row for rows in rows_of.values() for row in rows])
    for k, (domain, rows) in enumerate(rows_of.items()):
        drawn = scores.by_difference(rows, best.method, best.baseline)
        label = f"Bars of the IoU of each class on {domain} for {', '.join(methods)}"
        charts.append(
            {
                "domain": domain,
                "role": _role(domain, runs[0]),
                "order": compared,
                "svg": Markup(plots.class_bars(drawn, f"classes{k}", label, looks, top=top)),
                "table": tables.class_table(rows, methods),
            }
        )
    return charts


def _class_order(found: DomainScores) -> list[str]:
    """Return the classes of a domain in their order.

    Scores leave absent classes out. So the place of these is that in the first known space that has
    all the classes; in another space they come last.
    """
    names = [*found.iou, *found.absent]
    for space in SPACES.values():
        if set(names) <= set(space.classes):
            ordered = sorted(names, key=space.classes.index)
            if [name for name in ordered if name in found.iou] == list(found.iou):
                return ordered
    return names


def _curve_charts(
    runs: Sequence[Run], methods: Sequence[str], looks: Mapping[str, Look]
) -> list[dict[str, Any]]:
    """Return the training loss and the validation mIoU of each domain, where runs have them.

    A single validation is no curve: its scores stand in the tables.
    """
    groups = scores.group_by_method(runs)

    def series_of(curve_of: Any) -> list[plots.Series]:
        found = {name: [curve_of(run) for run in groups[name]] for name in methods}
        series = (
            plots.Series(looks[name].colour, tuple(c for c in curves if c is not None))
            for name, curves in found.items()
        )
        return [one for one in series if one.curves]

    charts = []
    if losses := series_of(lambda run: plots.thinned(run.loss) if run.loss else None):
        svg = plots.curves(losses, "loss", "Training loss over iterations", quantity="loss")
        charts.append({"title": "Training loss", "role": None, "svg": Markup(svg)})
    validation = {
        domain: series
        for domain in runs[0].domains
        if (series := series_of(lambda run, domain=domain: run.validation.get(domain)))
        and any(len(curve.values) > 1 for one in series for curve in one.curves)
    }
    if validation:
        limits = plots.common_limits([one for series in validation.values() for one in series])
    for k, (domain, series) in enumerate(validation.items()):
        role = _role(domain, runs[0])
        label = f"mIoU on {domain} ({role}) over iterations"
        svg = plots.curves(series, f"validation{k}", label, quantity="mIoU (%)", limits=limits)
        charts.append({"title": f"mIoU on {domain}", "role": role, "svg": Markup(svg)})
    return charts


def _role(domain: str, run: Run) -> str:
    return "source" if domain in run.sources else "unseen"


def _recipe(run: Run) -> dict[str, Any]:
    """Return a run's settings, so that it can be repeated, and all its measurements."""
    record = run.record
    facts = {
        "Config file": record.get("config_file"),
        "Checkpoint": record.get("checkpoint"),
        "Seed": run.seed,
        "Iterations": record.get("iterations"),
        "Device": record.get("device"),
        "Threads": record.get("threads"),
        "Commit": record.get("git_commit"),
        "Finished": record.get("date"),
    }
    return {
        "name": run.name,
        "method": run.method,
        "seed": run.seed,
        "command": record.get("command"),
        "facts": [(k, "not recorded" if v is None else str(v)) for k, v in facts.items()],
        "metrics": tables.metric_table(run),
        "config": record.get("config"),
    }
