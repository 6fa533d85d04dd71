"""Cells: what changes their identity and what does not."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.config import Config

import ibn_seg
from ibn_seg.benchmark.cell_identity import identity_of
from ibn_seg.benchmark.cells import list_cells
from ibn_seg.benchmark.plan import read_plan
from ibn_seg.config import config_folder
from ibn_seg.errors import UserError
from ibn_seg.results.identity import LEFT_OUT, cell_id
from ibn_seg.run.schedule import stretch
from tests.benchmark.test_plan import GOOD

REAL = {
    "name": "real",
    "segmentors": {
        "DeepLabV3+": "ibn_seg::deeplabv3plus/deeplabv3plus_{backbone}-d16_4xb4-40k_gta5-768x768"
    },
    "backbones": {"ResNet-50": "r50"},
    "methods": {"BN": {}, "IBN-a": {"model.backbone.ibn": "a"}},
    "sources": ["gta5", "gta5_synthia_urbansyn"],
    "targets": ["cityscapes", "world"],
    "seeds": [0],
}


@pytest.fixture
def cells(tmp_path):
    def make(plan, **change):
        path = tmp_path / "plan.yaml"
        path.write_text(yaml.safe_dump(plan | change))
        return list_cells(read_plan(path))

    return make


def ids(cells):
    return [cell.id for cell in cells]


def test_the_matrix_is_the_product_with_whole_comparisons_first(cells):
    found = cells(GOOD)
    assert [(c.seed, c.method) for c in found] == [
        (0, "BN"), (0, "IBN-a"), (1, "BN"), (1, "IBN-a")
    ]  # fmt: skip
    assert len(set(ids(found))) == 4
    assert {(c.source, c.targets, c.iterations) for c in found} == {("game", ("dashcam",), 600)}
    assert [c.config.model.backbone.get("ibn") for c in found[:2]] == [None, "a"]
    assert [c.config.randomness.seed for c in found] == [0, 0, 1, 1]
    assert found[1].config.experiment.method == "IBN-a"


def test_sources_and_targets_of_real_data(cells):
    one, _, three, _ = cells(REAL)
    assert one.source == "gta5"
    assert one.targets == ("cityscapes", "idd", "wilddash2", "mapillaryvistas-v2.0")
    assert three.source == "gta5+synthia+urbansyn"
    assert three.targets == one.targets
    assert one.config.train_dataloader.dataset.type == "GTA5Dataset"
    assert three.config.train_dataloader.dataset.type != "GTA5Dataset"
    assert three.config.val_evaluator.source == three.source
    assert len(three.config.val_dataloader.dataset.datasets) == 3 + 4


def test_a_source_is_not_its_own_target(cells):
    """So one list of targets serves other sources, and the network trained on a target's data."""
    (oracle,) = cells(REAL, sources=["cityscapes"], methods={"BN": {}})
    assert oracle.source == "cityscapes"
    assert oracle.targets == ("idd", "wilddash2", "mapillaryvistas-v2.0")
    assert len(oracle.config.val_dataloader.dataset.datasets) == 4


def test_a_block_more(cells):
    found = cells(GOOD, also=[{"seeds": [1, 2], "methods": {"BN": {}}}])
    assert len(found) == 5
    assert (found[-1].method, found[-1].seed) == ("BN", 2)


def test_a_block_does_not_change_another(cells):
    plain = {key: value for key, value in REAL.items() if key != "targets"}
    more = [{"targets": ["world"]}, {"seeds": [1]}]
    assert [c.targets for c in cells(plain, sources=["gta5"], also=more)][::2] == [
        ("cityscapes",), ("idd", "wilddash2", "mapillaryvistas-v2.0"), ("cityscapes",)
    ]  # fmt: skip


DASHCAM = {"dashcam": "ibn_seg::demo/mlp_r18_1xb8-600_dashcam-128x128"}
MORE = {
    "targets": ["ibn_seg::_base_/scenes/targets"],
    "oracles": {"sources": {**DASHCAM, "night": "ibn_seg::_base_/scenes/night"}, "seeds": [0]},
    "analyses": {"divergence": {"images": 9}, "robustness": {"methods": ["BN"]}},
    "transfer": {"targets": DASHCAM, "shares": [1, 100], "seeds": [1], "methods": ["IBN-a"],
                 "schedule": {"iterations": 300}},
}  # fmt: skip


def test_what_begins_from_others_comes_behind_them(cells):
    found = cells(GOOD, **MORE)
    place = {cell.id: k for k, cell in enumerate(found)}
    assert len(place) == 4 + 2 + 4 + 2 + 4
    assert all(place[need] < place[cell.id] for cell in found for need in cell.needs)
    by_id = {cell.id: cell for cell in found}
    for cell in found:
        for need in cell.needs:
            first = by_id[need]
            assert (first.method, first.seed, first.task) == (cell.method, cell.seed, "train")
            assert first.source == "game"
    assert [(c.task, c.share, c.start) for c in found[-4:]] == [
        ("train", 1.0, "source"), ("train", 1.0, "scratch"),
        ("train", 100.0, "source"), ("train", 100.0, "scratch"),
    ]  # fmt: skip


def test_an_oracle_is_the_same_network_on_the_same_pictures(cells):
    found = cells(GOOD, **MORE)
    baseline, oracle, night = found[0], found[4], found[5]
    assert (oracle.source, oracle.targets) == ("dashcam", ("game", "night", "fog"))
    assert (night.source, night.targets) == ("night", ("game", "dashcam", "fog"))
    assert baseline.targets == ("dashcam", "night", "fog")
    for key in ("model", "optim_wrapper", "param_scheduler", "train_cfg", "randomness"):
        assert baseline.config[key] == oracle.config[key] == night.config[key], key
    sets = [
        {one["target"]: one for one in cell.config.val_dataloader.dataset.datasets}
        for cell in (baseline, oracle, night)
    ]
    assert sets[0] == sets[1] == sets[2]
    assert oracle.config.train_dataloader.dataset.split == "train"
    assert night.config.train_dataloader.dataset.condition == "night"
    pipelines = [c.config.train_dataloader.dataset.pipeline for c in (baseline, oracle, night)]
    assert pipelines[0] == pipelines[1] == pipelines[2]


def test_a_transfer_trains_on_a_share_by_the_seed(cells):
    config = cells(GOOD, **MORE)[-4].config
    dataset = config.train_dataloader.dataset
    assert (dataset.type, dataset.share, dataset.share_seed) == ("RawCityscapesDataset", 0.01, 1)
    assert config.train_cfg.max_iters == 300
    assert config.model.backbone.ibn == "a"
    assert config.load_from is None


def test_what_begins_from_a_training_has_another_id_when_that_has(cells):
    def by_kind(**change):
        return {
            (c.task, c.label): c.id for c in cells(GOOD, **MORE | change) if c.start != "scratch"
        }

    before = by_kind()
    trained = by_kind(schedule={"options": {"optim_wrapper.optimizer.lr": 0.1}})
    assert not set(trained.values()) & set(before.values())
    assert list(trained) == list(before)
    measured = by_kind(analyses={"divergence": {"images": 8}, "robustness": {"methods": ["BN"]}})
    assert {kind[0] for kind in before if before[kind] != measured[kind]} == {"divergence"}
    # What is said, though it is the default, and which networks are measured, change nothing.
    explicit = {"divergence": {"images": 9, "min_images": 200, "seed": 0},
                "robustness": {"corruptions": ["jpeg"], "methods": ["BN"]}}  # fmt: skip
    measured = by_kind(analyses=explicit)
    assert {kind[0] for kind in before if before[kind] != measured[kind]} == {"robustness"}


def test_a_transfer_begins_from_a_network_of_the_matrix(cells):
    transfer = {"targets": DASHCAM, "shares": [1], "seeds": [7]}
    with pytest.raises(UserError, match="transfer begins from BN ResNet-18 all-MLP with seed 7"):
        cells(GOOD, transfer=transfer)
    assert cells(GOOD, transfer=transfer | {"starts": ["scratch"]})[-1].needs == ()


def test_an_analysis_names_domains_that_are_evaluated(cells):
    with pytest.raises(UserError, match=r"robustness\.domains\.0: unknown domain 'nigt'"):
        cells(GOOD, **MORE | {"analyses": {"robustness": {"domains": ["nigt"]}}})


def test_an_analysis_measures_something(cells):
    more = {
        "also": [{"seeds": [7], "methods": {"BN": {}}}],
        "analyses": {"robustness": {"methods": ["IBN-a"], "seeds": [7]}},
    }
    with pytest.raises(UserError, match="robustness: the matrix has no such network"):
        cells(GOOD, **more)


def test_one_results_folder_serves_both_embedded_plans():
    small, full = (
        {cell.id: cell for cell in list_cells(read_plan(f"ibn_seg::benchmark/{name}"))}
        for name in ("embedded", "embedded_full")
    )
    assert set(small) < set(full)
    assert [cell.label for cell in small.values()] == [full[name].label for name in small]
    kinds = [(cell.task, cell.start, cell.source) for cell in full.values()]
    assert len(small) == 9 + 3 + 1 + 9 + 3
    assert kinds.count(("train", None, "game")) == 9 + 9 + 15
    assert sum(kind[2] != "game" and kind[1] is None for kind in kinds) == 3 * 3 * 2
    assert kinds.count(("train", "source", "dashcam")) == 5 * 2 * 3
    assert len(full) == 33 + 18 + 2 * 9 + 60


def test_the_schedule_is_stretched(cells):
    config = cells(GOOD, schedule={"iterations": 60})[0].config
    assert config.train_cfg.max_iters == 60
    assert config.train_cfg.val_interval == 30
    assert [(s.begin, s.end) for s in config.param_scheduler] == [(0, 3), (3, 60)]
    assert config.default_hooks.checkpoint.interval == 50


@pytest.mark.parametrize("value", ["x", "6", 0, -1, float("inf"), [6]])
def test_a_length_that_is_no_number_is_named(cells, value):
    key = "train_cfg.max_iters"
    words = rf"{key} = {re.escape(repr(value))}: give a number of at least 1"
    with pytest.raises(UserError, match=rf"plan\.yaml: methods\.IBN-a: .*{words}"):
        cells(GOOD, methods={"BN": {}, "IBN-a": {key: value}})
    with pytest.raises(UserError, match=rf"plan\.yaml: schedule\.options: .*{words}"):
        cells(GOOD, schedule={"iterations": 60, "options": {key: value}})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train_cfg": {"max_iters": 600, "val_interval": "x"}}, r"train_cfg\.val_interval = 'x'"),
        ({"param_scheduler": [{"end": 600}, {"end": "x"}]}, r"param_scheduler\[1\]\.end = 'x'"),
        ({"param_scheduler": {"milestones": [1, "x"]}}, r"param_scheduler\.milestones = 'x'"),
    ],
)
def test_what_is_stretched_with_it_is_a_number(change, words):
    with pytest.raises(UserError, match=rf"^config: {words}: give a number of iterations$"):
        stretch(Config({"train_cfg": {"max_iters": 600}, **change}), 60)


def test_selection_by_the_source_keeps_the_best_checkpoint(cells):
    checkpoint = cells(GOOD, selection="best-on-source-validation")[0].config
    assert checkpoint.default_hooks.checkpoint.save_best == "game/mIoU"
    with pytest.raises(UserError, match="cannot be used with several sources"):
        cells(REAL, selection="best-on-source-validation")


def test_ids_stay(cells, monkeypatch):
    """Roots, folders, names and everything else in LEFT_OUT have no part in the identity."""
    before = ids(cells(GOOD)), ids(cells(REAL))
    for name in ("SCENES", "GTA5", "CITYSCAPES", "IDD", "WILDDASH2", "MAPILLARY"):
        monkeypatch.setenv(f"IBN_SEG_{name}", f"/elsewhere/{name}")
    moved = cells(GOOD), cells(REAL)
    assert "/elsewhere/SCENES" in moved[0][0].config.pretty_text
    assert (ids(moved[0]), ids(moved[1])) == before
    other = {
        "train_dataloader.num_workers": 7, "train_dataloader.persistent_workers": True,
        "val_dataloader.num_workers": 1, "train_dataloader.dataset.cache_dir": "/cache",
        "default_hooks.logger.interval": 3, "default_hooks.checkpoint.interval": 7,
    }  # fmt: skip
    assert ids(cells(GOOD, schedule={"options": other})) == before[0]
    named = cells(GOOD, name="x", backbones={"R18": {}}, gpus=1, budget={"hours": 1},
                  schedule={"checkpoint_every": 3})  # fmt: skip
    assert ids(named) == before[0]


CHANGES = [
    {"schedule": {"options": {"optim_wrapper.optimizer.lr": 0.1}}},
    {"schedule": {"iterations": 500}},
    {"schedule": {"options": {"train_dataloader.batch_size": 4}}},
    {"schedule": {"options": {"model.backbone.init_cfg": {"checkpoint": "other.pth"}}}},
    {"backbones": {"R": {"model.backbone.base_channels": 32}}},
    {"threads": 2},
    {"processes": 2},
    {"protocol": "synthia16"},
    {"selection": "best-on-source-validation"},
    {"targets": ["cityscapes"]},
    {"scenes": {"source": 5, "target_train": 0, "target_val": 2}},
    {"scenes": {"source": 5, "target_train": 0, "target_val": 2, "seed": 1}},
    {"scenes": {"source": 5, "target_train": 0, "target_val": 2, "adverse_val": 1}},
    {"scenes": {"source": 5, "target_train": 0, "target_val": 2, "varied": 4}},
    {"seeds": [2, 3]},
]


def test_ids_change_with_what_changes_numbers(cells, monkeypatch):
    all_ids = [ids(cells(GOOD, **change)) for change in ({}, *CHANGES)]
    flat = [one for some in all_ids for one in some]
    assert len(set(flat)) == len(flat)
    monkeypatch.setattr(ibn_seg, "__version__", "9.9.9")
    assert not set(ids(cells(GOOD))) & set(flat)


names = st.sampled_from(["lr", "size", "target", "checkpoint", "depth"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(config=st.dictionaries(names, values, min_size=1), other=values)
def test_identity_of_any_config(config, other):
    """Left-out keys have no effect at any depth; every other value has one."""
    plan = replace(read_plan("ibn_seg::benchmark/demo"))
    start = cell_id(identity_of(config, plan))
    noisy = {**config, "data_root": other, "work_dir": other, "d": {"dataset_root": other}}
    assert cell_id(identity_of(noisy, plan)) == cell_id(identity_of({**config, "d": {}}, plan))
    key = next(iter(config))
    assert cell_id(identity_of({**config, key: [config[key]]}, plan)) != start


def test_what_is_left_out_is_said_why():
    assert all(LEFT_OUT.values())


def _misspelt(folder: Path, name: str, source: str = "gam") -> str:
    """Return a config of the demo that says another source."""
    path = folder / f"{source}.py"
    base = config_folder() / "demo" / f"{name}.py"
    path.write_text(f"_base_ = {str(base)!r}\nexperiment = dict(source={source!r})\n")
    return str(path)


def test_wrong_names_and_options(cells, tmp_path):
    with pytest.raises(UserError, match=r"sources\.gtav: unknown source 'gtav': .*gta5"):
        cells(REAL, sources=["gtav"])
    with pytest.raises(UserError, match=r"oracles\.sources\.gtav: unknown source 'gtav'"):
        cells(REAL, oracles={"sources": ["gtav"]})
    with pytest.raises(UserError, match=r"transfer\.targets\.t: .*no such config file"):
        cells(GOOD, transfer={"targets": {"t": "none.py"}, "shares": [1]})
    with pytest.raises(UserError, match=r"targets\.0: unknown target 'wrld': did you mean 'world'"):
        cells(REAL, targets=["wrld"])
    with pytest.raises(UserError, match=r"segmentors\.S: no config 'ibn_seg::demo/mlp'"):
        cells(GOOD, segmentors={"S": "ibn_seg::demo/mlp"})
    with pytest.raises(UserError, match=r"segmentors.all-MLP: .*experiment.source 'gam': .*'game'"):
        cells(GOOD, segmentors={"all-MLP": _misspelt(tmp_path, "mlp_r18_1xb8-600_scenes-128x128")})
    other = _misspelt(tmp_path, "mlp_r18_1xb8-600_dashcam-128x128", "dashcan")
    with pytest.raises(UserError, match=r"sources\.d: .*experiment.source 'dashcan': .*'dashcam'"):
        cells(GOOD, sources={"d": other})
    with pytest.raises(UserError, match=r"methods\.BN: .*do not fit the config"):
        cells(GOOD, methods={"BN": {"param_scheduler.7.end": 3}})
    with pytest.raises(UserError, match=r"'BN .*' and 'same .*' are the same training"):
        cells(GOOD, methods={"BN": {}, "same": {}})


def test_a_config_of_another_folder(cells, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("targets = [dict(type='IDDDataset', data_root='x', target='mine')]\n")
    found = cells(REAL, targets=[os.fspath(file), {"type": "IDDDataset", "target": "inline"}])
    assert found[0].targets == ("mine", "inline")
    (tmp_path / "none.py").write_text("a = 1\n")
    with pytest.raises(UserError, match="has no list 'targets'"):
        cells(REAL, targets=[os.fspath(tmp_path / "none.py")])
