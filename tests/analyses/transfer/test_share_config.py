"""The config of a transfer, as the plan and the command make it."""

import pytest
from mmengine.config import Config

from ibn_seg.analyses.transfer.share_config import transfer_config
from ibn_seg.errors import UserError


def config(dataset=None, **model):
    return Config(
        dict(
            model=dict(type="EncoderDecoder", **model),
            train_dataloader=dict(dataset=dataset or dict(type="RawCityscapesDataset")),
            val_dataloader=dict(dataset=dict(type="RawCityscapesDataset")),
            experiment=dict(method="BN", source="cityscapes"),
        )
    )


def test_a_transfer_says_share_and_start():
    given = config()
    before = given.to_dict()
    found = transfer_config(given, share=10, subset_seed=3, checkpoint="a.pth")
    assert given.to_dict() == before
    after = found.to_dict()
    assert after.pop("load_from") == "a.pth"
    assert after.pop("resume") is False
    assert after.pop("experiment") == {
        "method": "BN", "source": "cityscapes", "share": 10.0, "start": "source"
    }  # fmt: skip
    assert after.pop("train_dataloader")["dataset"] == {
        "type": "RawCityscapesDataset", "share": 0.1, "share_seed": 3
    }  # fmt: skip
    assert after == {key: before[key] for key in after}


def test_without_the_source_nothing_is_loaded_but_what_the_config_says():
    pretrained = dict(type="IBNResNet", init_cfg=dict(type="Pretrained", checkpoint="ibn://x"))
    given = config(backbone=pretrained)
    given.load_from = "before.pth"
    found = transfer_config(given, share=100, subset_seed=0, checkpoint=None)
    assert found.load_from is None
    assert found.experiment.start == "scratch"
    assert found.train_dataloader.dataset.share == 1.0
    assert found.model.backbone.init_cfg == pretrained["init_cfg"]
    found = transfer_config(given, share=100, subset_seed=0, checkpoint="a.pth")
    assert found.model.backbone.init_cfg is None


def test_every_data_set_below_wrappers_gets_the_share():
    parts = [dict(type="GTA5Dataset"), dict(type="SynthiaDataset", split="robustnet_train")]
    nested = dict(
        type="RepeatDataset", times=2, dataset=dict(type="MultiDomainDataset", datasets=parts)
    )
    found = transfer_config(config(nested), share=5, subset_seed=1, checkpoint=None)
    dataset = found.train_dataloader.dataset
    assert "share" not in dataset
    assert "share" not in dataset.dataset
    for part in dataset.dataset.datasets:
        assert (part.share, part.share_seed) == (0.05, 1)


@pytest.mark.parametrize("share", [0, -1, 100.5, float("nan"), True, "10"])
def test_shares_are_percent(share):
    with pytest.raises(UserError, match="percent, above 0 and up to 100"):
        transfer_config(config(), share=share, subset_seed=0, checkpoint=None)


def test_a_config_without_training_set_or_network_is_refused():
    for key in ("train_dataloader", "model"):
        given = config()
        given.pop(key)
        with pytest.raises(UserError, match=f"config: {key}.* is missing"):
            transfer_config(given, share=10, subset_seed=0, checkpoint=None)
