"""Optional packages that are missing: one line that names the extra, on every stack."""

import subprocess
import sys

import pytest

from tests.tiny import environment

CODE = """
import sys
for name in sys.argv[2:]:
    sys.modules[name] = None  # as if it were not installed
from ibn_seg.cli import run
from ibn_seg.errors import EnvError
try:
    exec(sys.argv[1])
except EnvError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("statement", "package", "extra"),
    [
        ("import ibn_seg.plugins.timm", "timm", "timm"),
        ("import ibn_seg.plugins.smp", "segmentation_models_pytorch", "smp"),
        (
            "from ibn_seg.export.export_network import export;"
            "export('x.onnx', model='resnet18_ibn_a', pretrained=True)",
            "onnxruntime",
            "onnx",
        ),
    ],
)
def test_missing_package_names_the_extra(statement, package, extra, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE, statement, package],
        capture_output=True, text=True, env=environment(), timeout=120, check=False, cwd=tmp_path,
    )  # fmt: skip
    (line,) = done.stdout.splitlines()
    assert package in line
    assert line.endswith(f"pip install 'ibn_seg[{extra}]'")
    assert list(tmp_path.iterdir()) == []
