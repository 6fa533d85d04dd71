import importlib
import subprocess
import sys
from pathlib import Path

import mmcv
import mmseg
import pytest
from mmengine.config import Config
from mmengine.registry import METRICS, TRANSFORMS
from mmseg.registry import DATASETS, MODELS

import ibn_seg.plugins.mmseg as plugin

ROOT = Path(__file__).resolve().parents[2]


def test_everything_is_found_from_the_scope_of_mmseg():
    names = {
        DATASETS: ("GTA5Dataset", "RawCityscapesDataset", "MultiDomainDataset"),
        TRANSFORMS: ("LoadUrbanLabels", "ColorJitter", "RandomGaussianBlur"),
        METRICS: ("MultiDomainIoU",),
        MODELS: ("IBNResNet",),
    }
    for registry, kinds in names.items():
        for kind in kinds:
            assert registry.get(kind).__module__.startswith("ibn_seg.")


def test_importing_again_does_not_fail(tmp_path):
    importlib.reload(plugin)
    config = tmp_path / "config.py"
    config.write_text("custom_imports = dict(imports=['ibn_seg.plugins.mmseg'])\n")
    Config.fromfile(config)
    Config.fromfile(config)


def _pretend_installed(folder: Path, name: str, version: str) -> None:
    """Write the metadata that an installer leaves for a distribution."""
    record = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    record.mkdir()
    (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_two_distributions_of_mmseg_are_told(tmp_path, monkeypatch):
    assert plugin.overlap_warning() is None
    _pretend_installed(tmp_path, "mmsegmentation", "1.2.2")
    _pretend_installed(tmp_path, "onedl-mmsegmentation", "1.4.2")
    monkeypatch.syspath_prepend(tmp_path)
    line = plugin.overlap_warning()
    assert "mmsegmentation 1.2.2 and onedl-mmsegmentation 1.4.2 are both installed" in line
    assert f"mmseg {mmseg.__version__} is in use" in line


def test_two_distributions_of_mmcv_are_told(tmp_path, monkeypatch):
    for name in ("mmcv", "mmcv-lite"):
        _pretend_installed(tmp_path, name, "2.1.0")
    monkeypatch.syspath_prepend(tmp_path)
    line = plugin.overlap_warning()
    assert line.startswith("mmcv 2.1.0 and mmcv-lite 2.1.0 are both installed")
    assert f"mmcv {mmcv.__version__} is in use" in line


@pytest.mark.parametrize("first", ["ibn_seg.run.setup", "ibn_seg.plugins.mmseg"])
def test_the_line_is_printed_once_on_import(first, tmp_path):
    """Nothing else is printed: mmseg's maintained fork names what it cannot import."""
    for name in ("mmsegmentation", "onedl-mmsegmentation"):
        _pretend_installed(tmp_path, name, "1.2.2")
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\n"
    code += f"import {first}\nfrom ibn_seg.run.setup import register\nregister()\n"
    code += "import ibn_seg.plugins.mmseg"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert (done.stdout + done.stderr).count("are both installed") == 1
    assert "Could not import" not in done.stdout + done.stderr
