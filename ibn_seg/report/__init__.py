"""Report of finished runs: tables, plots and pictures from result files, in one HTML file.

The package reads results. It never trains, and needs neither PyTorch nor a host framework. Names
are imported on first use, so the tables alone do not load the plotting library.
"""

import importlib
from typing import Any

_PUBLIC = {
    "Panel": "ibn_seg.report.panel_images",
    "write_report": "ibn_seg.report.html",
}

__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
