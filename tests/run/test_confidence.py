"""Confidence from the test to files, and from files to measures."""

import json
import shutil

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from ibn_seg.cli.evaluate import evaluate
from ibn_seg.errors import UserError
from ibn_seg.predict.predict_pictures import Segmenter, predict
from ibn_seg.run import segmentation
from ibn_seg.run.score_predictions import evaluate_predictions
from ibn_seg.trust.confidence_bins import LEVELS
from ibn_seg.trust.stored_confidences import read_confidences


@pytest.fixture(scope="module")
def tested(trained, tiny, tmp_path_factory):
    """The result of a test that wrote pairs, and their folder."""
    out = tmp_path_factory.mktemp("pairs")
    result = segmentation.test(
        tiny, trained[0] / "iter_6.pth", work_dir=out / "run", out=out, confidence=True, quiet=True
    )
    return result, out


@pytest.fixture(scope="module")
def targets(tiny):
    return [f"gta5={tiny.parent}/gta5", f"cityscapes={tiny.parent}/cityscapes"]


def test_pairs_have_the_classes_of_the_test_and_a_confidence(tested, trained, tiny, tmp_path):
    result, out = tested
    assert result["domains"] == trained[1]["domains"]
    segmentation.test(
        tiny, trained[0] / "iter_6.pth", work_dir=tmp_path / "run", out=tmp_path, quiet=True
    )
    plain = sorted(tmp_path.glob("cityscapes/*.png"))
    assert sorted(path.name for path in out.glob("cityscapes/*")) == sorted(
        f"{path.stem}_{kind}.png" for path in plain for kind in ("pred", "conf", "heat")
    )
    for path in plain:
        pred, conf, heat = (
            cv2.imread(str(out / "cityscapes" / f"{path.stem}_{kind}.png"), cv2.IMREAD_UNCHANGED)
            for kind in ("pred", "conf", "heat")
        )
        assert np.array_equal(pred, cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
        assert (conf.dtype, conf.shape, heat.shape) == (np.uint16, pred.shape, (*pred.shape, 3))
        assert conf.min() >= 65536 // 19


def test_a_picture_gets_the_pair_of_the_test(tested, trained, tiny, tmp_path):
    """Also window by window, where levels differ by rounding at most."""
    pair = sorted((tested[1] / "cityscapes").glob("*_conf.png"))[0]
    stem = pair.name.removesuffix("_conf.png")
    source = next(tiny.parent.glob(f"cityscapes/leftImg8bit/val/*/{stem}.png"))
    checkpoint = trained[0] / "iter_6.pth"
    written = predict(tiny, checkpoint, source, tmp_path, confidence=True)
    assert [path.name.removeprefix(f"{stem}_") for path in written] == [
        "trainIds.png", "overlay.png", "pred.png", "conf.png", "heat.png",
    ]  # fmt: skip
    assert written[0].read_bytes() == written[2].read_bytes()
    levels, expected = (cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in (written[3], pair))
    assert np.array_equal(levels, expected)
    large = Segmenter(tiny, checkpoint, most_pixels=1000)
    labels, in_rows = large.labels_and_levels(cv2.imread(str(source)))
    assert np.abs(in_rows.astype(int) - expected.astype(int)).max() <= 2
    assert np.array_equal(labels, cv2.imread(str(written[2]), cv2.IMREAD_UNCHANGED))
    # Without confidence, the folder's results are those of another call and are made again.
    assert len(predict(tiny, checkpoint, source, tmp_path)) == 2


def test_pairs_are_scored_as_the_network_and_have_measures_of_trust(tested, targets, tmp_path):
    result, out = tested
    call = {"method": "theirs", "source": "gta5", "work_dir": tmp_path}
    scored = evaluate_predictions(out, targets, workers=1, **call)
    assert scored["domains"] == result["domains"]
    stored = read_confidences(tmp_path / scored["confidences"])
    for domain, found in scored["trust"].items():
        right = wrong = np.zeros(65536, int)
        for path in sorted((out / domain).glob("*_conf.png")):
            stem = path.name.removesuffix("_conf.png")
            level = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            hit, known = _hits(targets, domain, stem, out)
            right = right + np.bincount(level[hit & known], minlength=65536)
            wrong = wrong + np.bincount(level[~hit & known], minlength=65536)
        pixels = (right + wrong).sum()
        gaps = np.add.reduceat(right - (right + wrong) * LEVELS.values(), _borders())
        assert found["pooled"]["ece"] == pytest.approx(np.abs(gaps).sum() / pixels, abs=1e-12)
        assert found["pooled"]["pixels"] == pixels
        assert found["pooled_bins"] == {"kind": "levels", "count": 65536}
        assert found["undefined"]["pooled.nll"] == "no probabilities, only confidence"
        assert stored.domains[domain].counts.sum() == pixels
        assert len(stored.domains[domain].images) == scored["domains"][domain]["images"]
    again = evaluate_predictions(out, targets, workers=2, **call)
    assert again["trust"] == scored["trust"]


def _borders():
    """Return the first level of each of the 15 bins of BRAVO."""
    return np.array([round(65536 * j / 15) for j in range(15)])


def _hits(targets, domain, stem, out):
    """Return where a prediction is right, and where there is a label."""
    from mmseg.registry import DATASETS

    from ibn_seg.datasets.formats import map_ids, read_values
    from ibn_seg.datasets.targets import target_configs

    (config,) = target_configs([one for one in targets if one.startswith(domain)])
    dataset = DATASETS.build({"_scope_": "mmseg", **config})
    infos = (dataset.get_data_info(at) for at in range(len(dataset)))
    info = next(one for one in infos if f"/{stem}." in one["img_path"])
    values = read_values(info["seg_map_path"], info["label_table"], info.get("segments"))
    label = map_ids(values, info["label_table"], info["seg_map_path"])
    pred = cv2.imread(str(out / domain / f"{stem}_pred.png"), cv2.IMREAD_UNCHANGED)
    return pred == label, label != 255


def test_the_command_shows_the_measures(tested, targets, tmp_path):
    call = ["evaluate", "--predictions", str(tested[1]), "--targets", targets[1], "--method", "A"]
    done = CliRunner().invoke(evaluate, [*call[1:], "--work-dir", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "AUROC" in done.output
    assert "top label, equal width" in " ".join(done.output.split())
    trust = json.loads((tmp_path / "test.json").read_text())["trust"]["cityscapes"]
    assert f"{100 * trust['pooled']['ece']:.2f}" in done.output


def test_bad_pictures_of_confidence_are_one_line(tested, targets, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(tested[1] / "cityscapes", out)
    first, second, *_ = sorted(out.glob("*_conf.png"))
    good = cv2.imread(str(first), cv2.IMREAD_UNCHANGED)

    def refused(match):
        with pytest.raises(UserError, match=match):
            evaluate_predictions(out, targets[1:], method="A", work_dir=tmp_path / "run", workers=1)

    cv2.imwrite(str(first), (good >> 8).astype(np.uint8))
    refused("_conf.png: confidence of 8 bits")
    cv2.imwrite(str(first), good[:-1])
    refused("pixels for a prediction of")
    cv2.imwrite(str(first), good)
    second.unlink()
    refused("no such picture of confidence, and other images have one")


def test_what_has_no_confidence_is_refused(trained, tiny, tmp_path):
    checkpoint = trained[0] / "iter_6.pth"
    with pytest.raises(UserError, match="--confidence: no --out"):
        segmentation.test(tiny, checkpoint, work_dir=tmp_path, confidence=True, quiet=True)
    with pytest.raises(UserError, match="--confidence with --tta"):
        segmentation.test(
            tiny, checkpoint, work_dir=tmp_path, out=tmp_path, confidence=True, tta=True, quiet=True
        )
