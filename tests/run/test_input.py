"""Training from a cache, and with samplers by source and by class: same weights, exact resuming."""

import shutil

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ibn_seg.config import load_config
from ibn_seg.engine.loop import by_position
from ibn_seg.errors import UserError
from ibn_seg.run import segmentation

LOAD = dict(
    type="LoadRandomCrop", scale=(64, 48), ratio_range=(0.8, 1.6), crop_size=(32, 32),
    cat_max_ratio=0.75, flip_prob=0.5,
)  # fmt: skip
CHAIN = [
    dict(type="LoadImageFromFile"), dict(type="LoadUrbanLabels"),
    dict(type="RandomResize", scale=(64, 48), ratio_range=(0.8, 1.6), keep_ratio=True),
    dict(type="RandomCrop", crop_size=(32, 32), cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
]  # fmt: skip


def config(tiny, start, **dataset):
    cfg = load_config(tiny)
    pack = cfg.train_dataloader.dataset.pipeline[-1]
    cfg.train_dataloader.dataset.pipeline = [*start, pack]
    cfg.train_dataloader.dataset.update(dataset)
    cfg.train_cfg.val_interval = 100
    return cfg


def weights(folder, iteration=6):
    return torch.load(folder / f"iter_{iteration}.pth", weights_only=True)["state_dict"]


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_fused_crop_and_its_cache_train_the_same_weights(tiny, tmp_path):
    runs = {
        "chain": config(tiny, CHAIN),
        "cache": config(tiny, [LOAD], cache_dir=str(tmp_path / "frames"), cache_codec="zlib"),
    }
    for name, cfg in runs.items():
        segmentation.train(cfg, work_dir=tmp_path / name, quiet=True)
    assert_equal(weights(tmp_path / "chain"), weights(tmp_path / "cache"))
    assert list((tmp_path / "frames").rglob("*.tiles"))


@pytest.mark.parametrize(
    "kind",
    [
        "MixedSourceSampler",
        pytest.param("RareClassSampler", marks=pytest.mark.slow),
        pytest.param("ClassUniformSampler", marks=pytest.mark.slow),
    ],
)
def test_samplers_resume_exactly(tiny, tmp_path, kind):
    cfg = config(tiny, [LOAD])
    root = cfg.train_dataloader.dataset
    more = {"statistics": str(tmp_path / "classes.json")}
    if kind == "MixedSourceSampler":
        other = dict(root, split="val", target="other")
        cfg.train_dataloader.dataset = dict(type="MultiDomainDataset", datasets=[root, other])
        more = {"weights": dict(gta5=0.25, other=0.75)}
    elif kind == "RareClassSampler":
        more["min_pixels"] = 20
    cfg.train_dataloader.sampler = dict(type=kind, **more)
    whole = segmentation.train(cfg, work_dir=tmp_path / "whole", quiet=True)
    (tmp_path / "part").mkdir()
    shutil.copy(tmp_path / "whole" / "iter_2.pth", tmp_path / "part")
    part = segmentation.train(cfg, work_dir=tmp_path / "part", resume=True, quiet=True)
    assert part["resumed_at"] == [2]
    assert part["curves"]["loss"][-4:] == whole["curves"]["loss"][-4:]
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "part"))
    # Two samples of an iteration: those of the sampler, not of the plain order.
    sampler = Runner.build_dataloader(dict(by_position(cfg.train_dataloader, 0))).sampler
    assert type(sampler).__name__ == kind


def test_a_wrong_setting_of_a_sampler_is_one_line(tiny, tmp_path):
    cfg = config(tiny, [LOAD])
    cfg.train_dataloader.sampler = dict(type="MixedSourceSampler", weights=dict(gta=1))
    with pytest.raises(UserError, match="'gta': did you mean 'gta5'") as error:
        segmentation.train(cfg, work_dir=tmp_path, quiet=True)
    assert "\n" not in error.value.line


@HOOKS.register_module()
class KeepInputs(Hook):
    """Keep the tensors that the backbone takes in training, by name of the work dir."""

    seen: dict[str, list[torch.Tensor]] = {}

    def before_train(self, runner):
        kept = self.seen.setdefault(runner.work_dir, [])
        network = runner.model.backbone

        def keep(module, inputs):
            if module.training:
                kept.append(inputs[0].clone())

        network.register_forward_pre_hook(keep)


def appearance(tiny, on_device):
    """Return the tiny config with colours and blur, drawn in two workers; done there or later."""
    cfg = config(tiny, [LOAD])
    pack = cfg.train_dataloader.dataset.pipeline.pop()
    pack.meta_keys = [*pack.meta_keys, "appearance"]
    cfg.train_dataloader.dataset.pipeline += [
        dict(type="ColorJitter", prob=0.8, on_device=on_device),
        dict(type="Uint8PhotoMetricDistortion", on_device=on_device),
        dict(type="RandomGaussianBlur", on_device=on_device),
        pack,
    ]
    cfg.train_dataloader.num_workers = 2
    cfg.custom_hooks = [dict(type="KeepInputs")]
    if on_device:
        cfg.model.data_preprocessor.type = "AppearancePreProcessor"
    return cfg


def test_appearance_on_the_device_trains_the_same_weights_and_resumes(tiny, tmp_path):
    for name, on_device in (("cpu", False), ("device", True)):
        segmentation.train(appearance(tiny, on_device), work_dir=tmp_path / name, quiet=True)
    (tmp_path / "part").mkdir()
    shutil.copy(tmp_path / "device" / "iter_2.pth", tmp_path / "part")
    cfg = appearance(tiny, True)
    part = segmentation.train(cfg, work_dir=tmp_path / "part", resume=True, quiet=True)
    assert part["resumed_at"] == [2]
    seen = {name: KeepInputs.seen[str(tmp_path / name)] for name in ("cpu", "device", "part")}
    assert [len(seen[name]) for name in ("cpu", "device", "part")] == [6, 6, 4]
    level = 1 / torch.tensor(cfg.model.data_preprocessor.std).min()
    for one, other in zip(seen["cpu"], seen["device"], strict=True):
        assert one.shape == (2, 3, 32, 32)
        assert (one - other).abs().max() <= 2 * level
    for one, other in zip(seen["device"][2:], seen["part"], strict=True):
        assert torch.equal(one, other)
    # More than promised: every level is the same.
    assert_equal(weights(tmp_path / "cpu"), weights(tmp_path / "device"))
    assert_equal(weights(tmp_path / "device"), weights(tmp_path / "part"))


@pytest.mark.parametrize("loop", ["SeededIterLoop", "IterBasedTrainLoop"])
def test_appearance_that_nothing_would_apply_is_refused(tiny, tmp_path, loop):
    cfg = appearance(tiny, True)
    cfg.train_cfg.type = loop
    cfg.model.data_preprocessor.type = "SegDataPreProcessor"
    with pytest.raises(UserError, match="on_device=True, which SegDataPreProcessor ignores"):
        segmentation.train(cfg, work_dir=tmp_path, quiet=True)
