"""Every config of the package builds, trains two iterations and evaluates, on a tiny set."""

import ast
import collections
import re
import shutil

import numpy as np
import pytest

pytest.importorskip("mmseg")

from ibn_seg.config import SCHEME, config_folder, list_configs, load_config
from ibn_seg.datasets.splits import camvid_frames
from tests.datasets.own_class_writers import idd_lite
from tests.datasets.writers import bdd100k, mapillary_20
from tests.helpers import write_cityscapes, write_gta5, write_image

SIZE = (32, 32)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Tiny data sets in the real layouts, where the configs find them."""
    folder = tmp_path_factory.mktemp("data")
    # `every=4` keeps frame 1 and 5 of the first six.
    write_gta5(folder / "gta5", frames=(1, 2, 3, 4, 5, 6, 201))
    write_gta5(folder / "varied", frames=(1, 2, 3, 4, 5, 6, 201))
    write_cityscapes(folder / "cityscapes", {"train": 2, "val": 1})
    bdd100k(folder / "bdd100k")
    mapillary_20(folder / "mapillary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IBN_SEG_GTA5", str(folder / "gta5"))
        patch.setenv("IBN_SEG_CITYSCAPES", str(folder / "cityscapes"))
        patch.setenv("IBN_SEG_BDD100K", str(folder / "bdd100k"))
        patch.setenv("IBN_SEG_MAPILLARY", str(folder / "mapillary"))
        patch.setenv("IBN_SEG_SCENES", str(folder))
        patch.setenv("IBN_SEG_CAMVID", str(write_camvid(folder / "camvid")))
        idd_lite(folder / "idd_lite")
        for kind in ("leftImg8bit", "gtFine"):
            place = folder / "idd_lite" / kind
            shutil.copytree(place / "val", place / "train")
        patch.setenv("IBN_SEG_IDD_LITE", str(folder / "idd_lite"))
        yield folder


def write_camvid(root):
    """Write two frames of every split and part in SegNet's layout, and return the root."""
    rng, counts = np.random.default_rng(0), collections.Counter()
    for name, place in camvid_frames().items():
        counts[place] += 1
        if counts[place] <= 2:
            write_image(
                root / place[0] / f"{name}.png", rng.integers(0, 255, (24, 32, 3), np.uint8)
            )
            label = rng.integers(0, 12, (24, 32), np.uint8)
            write_image(root / f"{place[0]}annot" / f"{name}.png", label)
    return root


def shrink(node) -> None:
    """Make every size in a config tiny; nothing else changes."""
    if isinstance(node, dict):
        for key in ("scale", "crop_size", "size", "stride"):
            if isinstance(node.get(key), (tuple, list)):
                node[key] = SIZE
        for value in node.values():
            shrink(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            shrink(value)


# Networks of a ViT-B's and ViT-L's width.
LARGE = [
    name for name in list_configs() if name.startswith(("foundation/eomt", "foundation/linear"))
]
NAMES = [
    pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in list_configs()
]


@pytest.mark.parametrize("name", NAMES)
def test_config_trains_two_iterations_and_evaluates(name, roots, tmp_path):
    if name.startswith("foundation/"):
        pytest.importorskip("timm")
    from ibn_seg.run.segmentation import train

    config = load_config(
        SCHEME + name,
        {
            "model.backbone.init_cfg": None,
            "train_dataloader.batch_size": 2,
            "train_dataloader.num_workers": 0,
            "train_dataloader.persistent_workers": False,
            "val_dataloader.num_workers": 0,
            "val_dataloader.persistent_workers": False,
            "train_cfg.max_iters": 2,
            # Two thirds of a checkpoint are the optimizer's; writing them takes longest here.
            "default_hooks.checkpoint.save_optimizer": False,
        },
    )
    shrink(config._cfg_dict)
    if name in LARGE:
        # Four blocks at their real width.
        config.model.backbone.update(timm_args={"depth": 4}, out_indices=[3])
        if "queries" in config.model.decode_head:
            config.model.decode_head.points = 64
    result = train(config, work_dir=tmp_path, quiet=True)
    assert result["iterations"] == 2
    assert len(result["domains"]) >= 2
    assert result["source"] in result["domains"]
    if config.model.backbone.type == "TimmBackbone":
        assert result["method"].lower() == result["tuning"]
        return
    assert result["method"] in ("BN", "IBN-a", "IBN-b")
    assert result["backbone"] == f"ResNet-{config.model.backbone.depth}"
    placement = {"BN": None, "IBN-a": "a", "IBN-b": "b"}[result["method"]]
    assert config.model.backbone.ibn == placement


@pytest.mark.parametrize("name", list_configs())
def test_header_says_what_it_reproduces_and_how_to_run_it(name):
    text = (config_folder() / f"{name}.py").read_text(encoding="utf-8")
    header = ast.get_docstring(ast.parse(text.replace("{{", "").replace("}}", "")))
    assert header is not None
    assert name.rpartition("/")[2] in header
    assert "\nReproduces  " in header
    assert "\nCommand     " in header
    assert re.search(r"\((read|recalled|inferred|ours)|All settings are ours", header)
    for setting in re.findall(r"^  \w+ .*(?:\n   .*)*", header, flags=re.MULTILINE):
        assert re.search(r"\(([^()]* )?(read|recalled|inferred|ours)\b", setting), setting
    if not name.startswith(("demo/", "photographs/")) and "_scenes-" not in name:
        assert "no run on the real data sets has been made" in header


def test_variants_differ_from_their_baseline_in_the_layout_alone():
    for name in list_configs():
        config = load_config(SCHEME + name)
        method = config.experiment.method
        if method == "BN" or config.model.backbone.type == "TimmBackbone":
            continue
        baseline = load_config(SCHEME + name.replace(f"-ibn-{method[-1]}", ""))
        for each in (config, baseline):
            each.model.backbone.pop("ibn", None)
            # The paper starts each variant from the ImageNet weights of that variant.
            each.model.backbone.pop("init_cfg", None)
            each.experiment.pop("method")
        assert config.to_dict() == baseline.to_dict(), name
