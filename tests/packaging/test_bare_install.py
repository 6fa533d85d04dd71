"""The wheel in an environment of torch and numpy alone, outside the checkout."""

from pathlib import Path

CODE = """
import importlib.util
for name in ("mmengine", "mmcv", "mmseg", "torchvision", "cv2", "PIL", "click", "rich"):
    assert importlib.util.find_spec(name) is None, name

import torch
import ibn_seg

assert "site-packages" in ibn_seg.__file__
torch.manual_seed(0)
torch.set_num_threads(1)

layer = ibn_seg.IBN(10, ratio=0.3)
value = torch.randn(2, 10, 5, 6, requires_grad=True)
layer(value).square().sum().backward()
assert value.grad.shape == value.shape

names = ibn_seg.list_models()
assert len(names) >= 35 and len(set(names)) == len(names)
for name in ("resnet18", "resnet18_ibn_a", "resnet18_ibn_b", "resnext50_ibn_a", "se_resnet50_ibn_a",
             "densenet121_ibn_a"):
    logits = ibn_seg.create_model(name, num_classes=7).eval()(torch.zeros(1, 3, 64, 64))
    assert logits.shape == (1, 7)
print("worked")
"""

HUB = """
import sys
import torch
model = torch.hub.load(sys.argv[1], "resnet50_ibn_a", source="local", num_classes=5).eval()
print(tuple(model(torch.zeros(1, 3, 64, 64)).shape))
"""


def test_layers_and_models_need_torch_and_numpy_alone(bare):
    done = bare.run("python", "-c", CODE)
    assert (done.returncode, done.stdout.strip()) == (0, "worked"), done.stderr


def test_torch_hub_needs_torch_and_numpy_alone(bare):
    """From a checkout, as `torch.hub.load` of a repository does it."""
    root = Path(__file__).resolve().parents[2]
    done = bare.run("python", "-c", HUB, str(root))
    assert (done.returncode, done.stdout.strip()) == (0, "(1, 5)"), done.stderr


def test_command_says_in_one_line_that_its_packages_are_missing(bare):
    done = bare.run("ibn-seg", "--help")
    assert done.returncode == 3
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "click" in line
    assert "ibn_seg[mmseg]" in line


def test_borrowed_packages_are_out_of_pips_reach(bare):
    """A link among its own packages would let pip write into the environment of this test run."""
    assert any(path.is_symlink() for path in bare.borrowed.iterdir())
    assert [path for path in bare.site_packages.rglob("*") if path.is_symlink()] == []
