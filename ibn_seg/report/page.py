"""Tools for every page of the package: templates, style sheet, typography of numbers."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ibn_seg.report import panel_images as pictures
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
    return made


def asset(name: str) -> Markup:
    """Return a style sheet or script of the package, to be inlined unchanged."""
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))


def figures(text: str) -> str:
    """Typeset formatted numbers: true minus signs, and no line break before '±' or a unit."""
    if text == NOTHING:
        return "\N{EN DASH}"
    text = re.sub(r"(?<!\S)([(\[]?)-(?=\d)", "\\1\N{MINUS SIGN}", text)
    return re.sub(r"(?<=±) | (?=(?:%|s|min|h|GiB)(?:\s|$))", "\N{NO-BREAK SPACE}", text)


def scene(panel: Panel, role: str, methods: Sequence[str]) -> dict[str, Any]:
    """Return a scene's images with captions; predictions in the order of the methods.

    Args:
        panel: The scene.
        role: 'source' or 'unseen'.
        methods: The methods of the page.
    """
    shown = [method for method in order_methods([*methods, *panel.predictions])]
    images = [("Image", "", pictures.photo(panel.image), "photograph")]
    images.append(("Ground truth", "", pictures.label_map(panel.label), "true classes"))
    for method in shown:
        if method in panel.predictions:
            prediction = panel.predictions[method]
            right = pictures.pixel_accuracy(prediction, panel.label)
            images.append(
                (
                    method,
                    "" if right is None else f"{number(right)} % of pixels right",
                    pictures.label_map(prediction),
                    f"classes predicted by {method}",
                )
            )
    return {
        "caption": panel.caption,
        "domain": panel.domain,
        "role": role,
        "images": images,
    }
