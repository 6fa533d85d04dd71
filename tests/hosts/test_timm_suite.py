"""timm's own model tests pass on our names, but for those that download weights."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

pytest.importorskip("timm")

from tests.hosts.timm_names import VARIABLE
from tests.hosts.timm_source import VARIABLE as SOURCE
from tests.hosts.timm_source import timm_source
from tests.tiny import ROOT

pytestmark = pytest.mark.hosts

# The smallest network of each family and variant that the plug-in registers.
SMALLEST = ("resnet18_ibn_a", "resnet18_ibn_b", "resnext50", "resnext50_ibn_a", "se_resnet50",
            "se_resnet50_ibn_a", "densenet121_ibn_a", "mx_resnet18", "mx_resnet50_ibn_a",
            "mx_resnext50_ibn_a", "mx_resnext50_ibn_b", "mx_resnext_wd50_ibn_a")  # fmt: skip
# timm leaves its own DenseNets out of scripting.
TESTS = {
    "test_model_forward", "test_model_backward", "test_model_default_cfgs",
    "test_model_forward_torchscript", "test_model_forward_features",
    "test_model_forward_intermediates_features", "test_model_forward_intermediates",
    "test_prune_intermediate_layers_contract", "test_model_forward_fx", "test_model_backward_fx",
    "test_model_forward_fx_torchscript",
}  # fmt: skip
UNSCRIPTED = {"test_model_forward_torchscript", "test_model_forward_fx_torchscript"}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    found = timm_source(tmp_path_factory.mktemp("timm"))
    if found is None:
        pytest.fail(f"pip cannot download timm's source: unpack it, and set {SOURCE} to the folder")
    return found


def run(source, names, folder, *chosen):
    """Run timm's tests on names; return {test: outcomes by name}."""
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-p", "tests.hosts.timm_names", "-c", os.devnull]
    command += ["-p", "no:cacheprovider", "--import-mode=importlib", "--noconftest", "-q"]
    command += ["--rootdir", str(source), f"--junitxml={report}", "-W", "ignore", "-k"]
    command += [f"({' or '.join(names)}) and not pretrained {' '.join(chosen)}"]
    environment = {**os.environ, VARIABLE: ",".join(names), "PYTHONPATH": str(ROOT)}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        [*command, str(source / "tests" / "test_models.py")],
        env=environment, cwd=folder, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert report.is_file(), done.stdout + done.stderr
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        test, _, arguments = case.get("name").partition("[")
        outcome = "passed" if len(case) == 0 else case[0].get("message", case[0].tag)
        found.setdefault(test, {})[arguments.rstrip("]").removeprefix("1-").removeprefix("2-")] = (
            outcome
        )
    return found


def test_every_test_without_network_on_the_smallest_of_each_family(source, tmp_path):
    found = run(source, SMALLEST, tmp_path)
    assert set(found) == TESTS
    for test, outcomes in found.items():
        expected = {n for n in SMALLEST if not (test in UNSCRIPTED and n.startswith("densenet"))}
        assert set(outcomes) == expected, test
        assert set(outcomes.values()) == {"passed"}, (test, outcomes)


def test_forward_and_fx_on_all_names(source, tmp_path):
    import ibn_seg.plugins.timm as plugin

    names = sorted(plugin.default_cfgs)
    found = run(
        source, names, tmp_path, "and (test_model_forward or test_model_forward_fx)",
        "and not (features or intermediates or torchscript)",
    )  # fmt: skip
    assert set(found) == {"test_model_forward", "test_model_forward_fx"}
    for test, outcomes in found.items():
        assert set(outcomes) == set(names), test
        assert set(outcomes.values()) == {"passed"}, (test, outcomes)
