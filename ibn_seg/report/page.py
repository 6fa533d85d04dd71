"""Tools for every page of the package: templates, style sheet, typography of numbers."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ibn_seg.report import panel_images as pictures
from ibn_seg.report.aligned import aligned
from ibn_seg.report.method_looks import style_of_colours
from ibn_seg.report.panel_images import Panel
from ibn_seg.report.runs import order_methods
from ibn_seg.report.tables import NOTHING, number

_TEMPLATES = Path(__file__).parent / "templates"


def environment() -> jinja2.Environment:
    """Return the templates, which escape every value."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["figures"] = figures
    made.filters["breakable"] = breakable
    made.filters["aligned"] = lambda rows: aligned(rows, figures)
    return made


def asset(name: str) -> Markup:
    """Return a file of the package, to be inlined unchanged."""
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))


def style_sheet() -> Markup:
    """Return the style sheet of every page."""
    return Markup(style_of_colours()) + asset("style.css")


def figures(text: str) -> str:
    """Typeset formatted numbers: true minus signs, and no line break before '±' or a unit."""
    if text == NOTHING:
        return "\N{EN DASH}"
    text = re.sub(r"(?<!\S)([(\[]?)-(?=\d)", "\\1\N{MINUS SIGN}", text)
    return re.sub(r"(?<=±) | (?=(?:%|s|min|h|GiB)(?:\s|$))", "\N{NO-BREAK SPACE}", text)


def breakable(name: str) -> Markup:
    """Let a long name break after underscores."""
    return Markup("_<wbr>").join(name.split("_"))


def scenes(
    panels: Sequence[Panel], role_of: Callable[[str], str], methods: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the scenes of a page. Each that has other classes than the one before has a legend.

    Args:
        panels: The scenes.
        role_of: Returns 'source' or 'unseen' for a domain.
        methods: The methods of the page.
    """
    shown, before = [], None
    for panel in panels:
        legend = pictures.legend(panel.classes) if panel.classes != before else []
        shown.append({**scene(panel, role_of(panel.domain), methods), "legend": legend})
        before = panel.classes
    return shown


def scene(panel: Panel, role: str, methods: Sequence[str]) -> dict[str, Any]:
    """Return a scene's images with captions; predictions in the order of the methods.

    Args:
        panel: The scene.
        role: 'source' or 'unseen'.
        methods: The methods of the page.
    """
    shown = [method for method in order_methods([*methods, *panel.predictions])]
    images = [("Image", "", pictures.photo(panel.image), "photograph")]
    truth = pictures.label_map(panel.label, panel.classes)
    images.append(("Ground truth", "", truth, "true classes"))
    for method in shown:
        if method in panel.predictions:
            prediction = panel.predictions[method]
            right = pictures.pixel_accuracy(prediction, panel.label)
            images.append(
                (
                    method,
                    "" if right is None else f"{number(right)} % of pixels right",
                    pictures.label_map(prediction, panel.classes),
                    f"classes predicted by {method}",
                )
            )
    return {
        "caption": panel.caption,
        "domain": panel.domain,
        "role": role,
        "images": images,
    }
