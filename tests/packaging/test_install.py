"""The wheel installed into environments, outside the checkout."""

import hashlib
import importlib.metadata
import importlib.util
import json
import shutil

import pytest

import ibn_seg
from tests.packaging.environments import Environment

pytestmark = pytest.mark.install

# The folders mmseg and mmcv belong to these; both stacks have them.
HOSTS = {"mmsegmentation", "mmcv", "mmcv-lite", "onedl-mmsegmentation", "ibn-seg"}

USE = """
_base_ = ['mmseg::_base_/models/fcn_r50-d8.py']
custom_imports = dict(imports=['ibn_seg.plugins.mmseg'])
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    pretrained=None,
    backbone=dict(_delete_=True, type='IBNResNet', depth=18, ibn='b', norm_cfg=norm_cfg),
    decode_head=dict(in_channels=512, channels=32, norm_cfg=norm_cfg),
    auxiliary_head=None,
)
"""
# Without compiled operators the original's own models cannot be imported, our backbone can.
BACKBONE = """
import torch, mmseg, ibn_seg.plugins.mmengine
from mmengine.registry import MODELS
model = MODELS.build(dict(type="IBNResNet", depth=18, ibn="a")).eval()
print(mmseg.__version__, tuple(model(torch.zeros(1, 3, 64, 64))[-1].shape))
"""
BUILD = """
import torch, mmseg
from ibn_seg.config import load_config
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings

config = load_config("use.py")
import_modules_from_strings(**config.custom_imports)
init_default_scope("mmseg")
from mmseg.registry import MODELS
model = MODELS.build(config.model).eval()
print(mmseg.__version__, tuple(model(torch.zeros(1, 3, 64, 64)).shape))
"""


def installed():
    """The names of the distributions of this environment."""
    found = importlib.metadata.distributions()
    return {item.metadata["Name"].lower().replace("_", "-") for item in found}


def distributions():
    """The distributions of this environment except the hosts."""
    return installed() - HOSTS


def fingerprint(folder):
    """Every file of mmseg and mmcv, and of the records of their installation, with its hash."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in ("mmseg*/**/*", "mmcv*/**/*")
        for path in folder.glob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    }


def is_original():
    """Whether this test run is one with the original stack and its compiled operators."""
    return importlib.util.find_spec("mmcv._ext") is not None


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """An environment that has the files of mmsegmentation 1.2.2 and of an mmcv that fits it."""
    environment = Environment.make(tmp_path_factory.mktemp("original"), distributions())
    if is_original():
        for name in ("mmsegmentation", "mmcv"):
            distribution = importlib.metadata.distribution(name)
            for top in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
                shutil.copytree(distribution.locate_file(top), environment.site_packages / top)
    else:
        environment.install("mmsegmentation==1.2.2", "mmcv-lite==2.1.0")
    return environment


def test_installing_leaves_the_original_as_it_was(original, wheel):
    before = fingerprint(original.site_packages)
    assert len(before) > 1000
    original.install("--no-index", str(wheel))
    assert fingerprint(original.site_packages) == before
    (original.home / "use.py").write_text(USE)
    done = original.run("python", "-c", BUILD if is_original() else BACKBONE)
    assert done.returncode == 0, done.stderr
    shape = "(1, 19, 2, 2)" if is_original() else "(1, 512, 2, 2)"
    assert done.stdout.splitlines()[-1] == f"1.2.2 {shape}"
    assert fingerprint(original.site_packages) == before


@pytest.mark.parametrize("both", [False, True])
def test_records_of_both_stacks_are_said_in_one_line(tmp_path, wheel, both):
    hosts = {"mmcv", "mmcv-lite", "mmsegmentation", "onedl-mmsegmentation"} & installed()
    environment = Environment.make(tmp_path, distributions() | hosts)
    environment.install("--no-index", str(wheel))
    for name in ("mmsegmentation", "onedl-mmsegmentation") if both else ():
        if name not in hosts:
            record = environment.site_packages / f"{name.replace('-', '_')}-9.dist-info"
            record.mkdir()
            (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9\n")
    done = environment.run("python", "-W", "ignore", "-c", "import ibn_seg.plugins.mmseg")
    assert done.returncode == 0, done.stderr
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "uninstall" in line]
    assert len(lines) == both
    assert all("mmsegmentation" in line and "onedl-mmsegmentation" in line for line in lines)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory, wheel):
    """A new environment with the wheel and all that its default stack requires."""
    environment = Environment.make(tmp_path_factory.mktemp("fresh"))
    environment.install_with_requirements(f"{wheel}[mmseg]")
    return environment


def test_fresh_environment_runs_the_quick_demo_and_trains_a_shipped_config(fresh):
    done = fresh.run("ibn-seg", "demo", "--quick", timeout=1800)
    assert done.returncode == 0, done.stderr
    (report,) = fresh.home.rglob("report.html")
    assert str(report.relative_to(fresh.home)) in done.stdout
    assert report.stat().st_size > 10_000

    listing = "from ibn_seg.config import list_configs; print(*list_configs(), sep='\\n')"
    names = fresh.run("python", "-c", listing).stdout.split()
    name = next(name for name in names if name.startswith("demo/"))
    done = fresh.run(
        "ibn-seg", "train", f"ibn_seg::{name}", "--work-dir", "trained", "--cfg-options",
        "train_cfg.max_iters=2", "train_cfg.val_interval=2",
        env={"IBN_SEG_SCENES": str(report.parent / "scenes")}, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads((fresh.home / "trained" / "result.json").read_text())
    assert result["iterations"] == 2
    assert result["versions"]["ibn_seg"] == ibn_seg.__version__


def test_fresh_environment_loads_an_mmseg_base(fresh):
    (fresh.home / "use.py").write_text(USE)
    done = fresh.run("python", "-c", BUILD)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("(1, 19, 2, 2)")
