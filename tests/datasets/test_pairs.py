"""Every pair of a source and targets in `configs/_base_/datasets` yields batches of real files."""

import pytest
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from ibn_seg.config import config_folder, load_config
from ibn_seg.engine.loop import by_position
from ibn_seg.provenance import source_domains
from ibn_seg.run.setup import register
from tests.datasets import writers
from tests.helpers import write_cityscapes, write_gta5

PAIRS = sorted(path.stem for path in (config_folder() / "_base_" / "datasets").glob("*_to_*.py"))
ROOTS = {
    "IBN_SEG_SYNTHIA": writers.synthia,
    "IBN_SEG_URBANSYN": writers.urbansyn,
    "IBN_SEG_BDD100K": writers.bdd100k,
    "IBN_SEG_MAPILLARY": writers.mapillary_20,
    "IBN_SEG_ACDC": writers.acdc,
    "IBN_SEG_DARK_ZURICH": writers.dark_zurich,
    "IBN_SEG_FOGGY_CITYSCAPES": writers.foggy_cityscapes,
    "IBN_SEG_IDD": writers.idd,
    "IBN_SEG_WILDDASH2": writers.wilddash_panoptic,
    "IBN_SEG_GTA5": write_gta5,
    "IBN_SEG_CITYSCAPES": write_cityscapes,
}


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Write every data set once; return the environment variables that name them."""
    found = {}
    for variable, write in ROOTS.items():
        root = tmp_path_factory.mktemp(variable.lower())
        write(root)
        found[variable] = str(root)
    return found


@pytest.mark.parametrize("pair", PAIRS)
def test_a_pair_yields_batches(pair, roots, monkeypatch):
    for variable, root in roots.items():
        monkeypatch.setenv(variable, root)
    register()
    config = load_config(config_folder() / "_base_" / "datasets" / f"{pair}.py")
    init_default_scope("mmseg")
    source, targets = pair.split("_to_")
    sources = set(source.split("_"))
    assert config.val_evaluator.source == config.experiment.source
    assert set(source_domains(config.experiment.source)) == sources
    for name in ("train", "val", "test"):
        config[f"{name}_dataloader"].update(num_workers=0, persistent_workers=False)
    config.train_dataloader.batch_size = 8
    training = by_position(config.train_dataloader, seed=0)
    batch = next(iter(Runner.build_dataloader(training, seed=0)))
    assert len(batch["inputs"]) == 8
    assert {sample.target for sample in batch["data_samples"]} == sources
    domains = [
        batch["data_samples"][0].target
        for batch in Runner.build_dataloader(config.val_dataloader, seed=0)
    ]
    assert sources <= set(domains)
    expected = {
        "cityscapes": {"cityscapes"}, "gta5": {"gta5"},
        "rein": {"cityscapes", "bdd100k", "mapillary-rein"},
        "robustnet": {"cityscapes", "bdd100k", "mapillary-robustnet", "synthia"},
        "adverse": {"acdc-fog", "acdc-night", "acdc-rain", "acdc-snow", "dark_zurich",
                    *(f"foggy_cityscapes-{beta}" for beta in ("0.005", "0.01", "0.02"))},
        "world": {"idd", "wilddash2", "mapillary-v2.0"},
    }[targets]  # fmt: skip
    assert set(domains) - sources == expected - sources
