"""A pytest plugin: timm's own model tests run on our names, in place of timm's.

    pytest -p tests.hosts.timm_names TESTS_OF_TIMM/test_models.py

IBN_SEG_HOST_NAMES holds the names, with commas.
"""

import fnmatch
import os

import timm
import timm.models

import ibn_seg.plugins.timm  # noqa: F401  (registers our names)

VARIABLE = "IBN_SEG_HOST_NAMES"


def _ours(
    filter: str | list[str] = "",
    module: str | list[str] = "",
    exclude_filters: str | list[str] = "",
    **_: object,
) -> list[str]:
    """Return our names where timm's tests ask for all of timm's names, else none.

    Args:
        filter: Wildcards; our names stand for no family of timm's that a test names.
        module: Modules of timm; ours have what these modules promise.
        exclude_filters: Wildcards of names that timm leaves out.
    """
    if filter:
        return []
    excluded = [exclude_filters] if isinstance(exclude_filters, str) else exclude_filters
    names = os.environ[VARIABLE].split(",")
    return [n for n in names if not any(fnmatch.fnmatch(n, e) for e in excluded)]


def pytest_configure() -> None:
    """Do so when this plugin is in use, before the tests are read."""
    timm.list_models = _ours
