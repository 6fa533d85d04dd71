"""What every page of the package is made with: templates, style sheet, typography of numbers."""

import re
from pathlib import Path

import jinja2
from markupsafe import Markup

from ibn_seg.report.tables import NOTHING

_TEMPLATES = Path(__file__).parent / "templates"


def environment() -> jinja2.Environment:
    """Return the templates, which escape whatever they are given."""
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
    """Return a style sheet or script of the package, to stand in a page as it is."""
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))


def figures(text: str) -> str:
    """Set formatted numbers as print does: true minus signs, '±' and units kept with the number."""
    if text == NOTHING:
        return "\N{EN DASH}"
    text = re.sub(r"(?<!\S)([(\[]?)-(?=\d)", "\\1\N{MINUS SIGN}", text)
    return re.sub(r"(?<=±) | (?=(?:%|s|min|h|GiB)(?:\s|$))", "\N{NO-BREAK SPACE}", text)
