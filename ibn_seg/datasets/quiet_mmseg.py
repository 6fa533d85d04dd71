"""mmseg's data sets, imported without the lines that its maintained fork prints."""

import contextlib
import importlib
import io
from types import ModuleType


def load_mmseg() -> ModuleType:
    """Import mmseg's data sets, drop what its maintained fork prints, and return the module.

    The fork prints the names of failed imports. Import nothing else here: a logger made meanwhile
    would keep writing to the redirected stream.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        return importlib.import_module("mmseg.datasets")
