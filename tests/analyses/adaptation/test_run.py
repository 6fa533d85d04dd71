"""A real network, adapted at test time in every way."""

import json

import pytest

pytest.importorskip("mmseg")

from ibn_seg import cli
from ibn_seg.analyses.adaptation.cell import summary
from ibn_seg.analyses.adaptation.conditions import ADAPTATIONS, conditions
from ibn_seg.analyses.adaptation.run import adaptation
from ibn_seg.config import load_config
from ibn_seg.errors import UserError
from ibn_seg.run import segmentation


@pytest.fixture(scope="module")
def checkpoint(trained):
    return trained[0] / "iter_6.pth"


@pytest.fixture(scope="module")
def result(tiny, checkpoint, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp("adaptation")
    moved = []
    found = adaptation(
        tiny, checkpoint, batch_sizes=(1, 2), seed=3, work_dir=work_dir, quiet=True,
        progress=lambda *counts: moved.append(counts),
    )  # fmt: skip
    assert moved[-1] == ("adaptation", 8, 8)
    assert json.loads((work_dir / "adaptation.json").read_text()) == found
    return found


def scores(tiny, checkpoint, work_dir, hook=None, batch_size=1):
    """The scores that the config's own keys give."""
    config = load_config(tiny)
    if hook:
        config.custom_hooks = [hook]
        config.test_dataloader.batch_size = batch_size
        config.test_dataloader.batch_sampler = {"type": "DomainBatchSampler", "seed": 3}
    found = segmentation.test(config, checkpoint, work_dir=work_dir, quiet=True)
    # Tables keep such results apart.
    assert found.get("sees_target", False) == bool(hook)
    return found["domains"]


def test_every_way_scores_as_the_hook_in_a_config_does(result, tiny, checkpoint, tmp_path):
    assert result["domains"] == scores(tiny, checkpoint, tmp_path / "plain")
    assert result["order_seed"] == 3
    assert result["confusions"] is None  # the file has those of the last way
    ways = [(one["method"], one["batch_size"]) for one in result["adapted"]]
    assert ways == [(one.method, one.batch_size) for one in conditions(ADAPTATIONS, (1, 2))]
    assert ("AdaBN", None) in ways
    assert len(ways) == 7
    for at, one in enumerate(result["adapted"]):
        expected = scores(
            tiny, checkpoint, tmp_path / str(at), dict(ADAPTATIONS[one["method"]]),
            one["batch_size"] or 1,
        )  # fmt: skip
        assert one["domains"] == expected, one["method"]
        for domain, gain in one["gain"].items():
            clean = result["domains"][domain]["mIoU"]
            assert gain == pytest.approx(expected[domain]["mIoU"] - clean)
    # Adaptation does something.
    assert any(gain for one in result["adapted"] for gain in one["gain"].values())


def test_the_command_prints_a_table_for_each_domain(tiny, checkpoint, tmp_path, capsys):
    options = ("--adaptations", "AdaBN,batch BN", "--batch-sizes", "2", "--domain", "cityscapes")
    where = ("--work-dir", str(tmp_path))
    assert cli.run(["adaptation", str(tiny), str(checkpoint), *options, *where]) == 0
    said = capsys.readouterr().out
    assert "IBN-a, cityscapes: mIoU" in said
    assert "gta5" not in said
    assert "batch BN" in said
    found = json.loads((tmp_path / "adaptation.json").read_text())
    assert [one["method"] for one in found["adapted"]] == ["AdaBN", "batch BN"]
    assert summary(found).startswith("best gain cityscapes ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adaptations": ["TNT"]}, "unknown method at test time 'TNT': did you mean 'TENT'"),
        ({"batch_sizes": [0]}, "batch size 0"),
        ({"domains": ["citscapes"]}, "'citscapes': did you mean 'cityscapes'"),
        (
            {
                "cfg_options": {
                    "custom_hooks": [{"type": "TargetAdaptationHook", "method": "batch"}]
                }
            },
            "the config adapts at test time itself",
        ),
    ],
)
def test_wrong_options_are_one_line(tiny, checkpoint, tmp_path, options, message):
    with pytest.raises(UserError) as caught:
        adaptation(tiny, checkpoint, work_dir=tmp_path, quiet=True, **options)
    assert message in caught.value.line
    assert not (tmp_path / "adaptation.json").exists()
