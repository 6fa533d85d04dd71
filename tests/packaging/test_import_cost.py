"""What importing costs and does, in new interpreters."""

import json

HEAVY = ("torch", "torchvision", "mmengine", "mmcv", "mmseg", "matplotlib", "cv2", "scipy")


def test_help_is_fast_and_needs_no_torch(python):
    code = f"""
import json, time
start = time.perf_counter()
import contextlib, io
from ibn_seg.__main__ import main
sys.argv = ["ibn-seg", "--help"]
out = io.StringIO()
try:
    with contextlib.redirect_stdout(out):
        code = main()
except SystemExit as end:
    code = end.code
seconds = time.perf_counter() - start
heavy = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([code or 0, seconds, heavy, out.getvalue()]))
"""
    runs = []
    for _ in range(3):
        done = python(code)
        assert done.returncode == 0, done.stderr
        runs.append(json.loads(done.stdout))
    for code, _, heavy, text in runs:
        assert code == 0
        assert heavy == []
        assert "train" in text
    assert min(seconds for _, seconds, _, _ in runs) < 1.0


def test_import_adds_little_to_torch(python):
    # Both are timed in one interpreter, so that the difference is not that of two noisy starts.
    code = """
import time
import torch
start = time.perf_counter()
import ibn_seg
from ibn_seg import IBN, create_model
print(time.perf_counter() - start)
"""
    assert min(float(python(code).stdout) for _ in range(2)) <= 0.3


def test_import_is_silent_and_lazy(python):
    code = f"""
before = set(sys.modules)
import ibn_seg
heavy = [name for name in (*{HEAVY!r}, "numpy", "click", "rich") if name in sys.modules]
if heavy or not ibn_seg.__version__:
    sys.exit(f"loaded {{heavy}}")
"""
    done = python(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_import_registers_nothing(python):
    code = """
from mmengine import registry
def ours():
    tables = [getattr(registry, name) for name in dir(registry) if name.isupper()]
    return {
        (table.name, key)
        for table in tables
        for key, value in getattr(table, "module_dict", {}).items()
        if getattr(value, "__module__", "").startswith("ibn_seg")
    }
import ibn_seg
from ibn_seg import IBN, create_model
assert ours() == set(), ours()
import ibn_seg.plugins.mmengine
names = ("IBNResNet", "IBNResNeXt", "IBNSEResNet", "IBNDenseNet", "IBNMXResNet", "IBNMXResNeXt",
         "IBNMXResNeXtWD")
assert ours() == {("model", name) for name in names}, ours()
assert "mmseg" not in sys.modules
"""
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_light_modules_do_not_load_torch(python):
    code = """
import importlib
for name in ["errors", "io", "config", "provenance", "datasets.labels", "evaluation.confusion",
             "evaluation.stored", "statistics", "progress", "scenes", "report", "cli"]:
    importlib.import_module("ibn_seg." + name)
    heavy = [h for h in ("torch", "torchvision", "mmengine", "mmcv", "mmseg") if h in sys.modules]
    if heavy:
        sys.exit(f"ibn_seg.{name} loads {heavy}")
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
