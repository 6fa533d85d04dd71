"""Scores over groups of classes: the metric, its kept counts, and what is never averaged."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement, PixelData

from ibn_seg.datasets.class_map import ClassMap, identity
from ibn_seg.datasets.known_classes import SPACES, known_map
from ibn_seg.datasets.labels import CLASSES
from ibn_seg.errors import UserError
from ibn_seg.evaluation.confusion import group_matrix, scores
from ibn_seg.evaluation.metric import MultiDomainIoU
from ibn_seg.evaluation.network_classes import network_classes
from ibn_seg.evaluation.stored import (
    ImageConfusions,
    StoredConfusions,
    confusions_of,
    read_confusions,
    write_confusions,
)
from tests.helpers import random_train_ids

CAMVID, IDD_LITE = SPACES["camvid"], SPACES["idd_lite"]
TO_CAMVID = (3, 4, 1, 1, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8, 8, 10, 10)


def drawn(seed: int, groups: int, classes: int = 19) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of groups, with void, and predictions of classes, everywhere."""
    rng = np.random.default_rng(seed)
    label = random_train_ids(rng, (40, 24), block=4)
    label = np.where(label == 255, 255, label % groups).astype(np.int64)
    return label, rng.integers(0, classes, label.shape)


def sample(domain: str, label: np.ndarray, prediction: np.ndarray) -> BaseDataElement:
    element = BaseDataElement(metainfo={"target": domain})
    element.gt_sem_seg = PixelData(data=torch.from_numpy(label)[None])
    element.pred_sem_seg = PixelData(data=torch.from_numpy(prediction)[None])
    return element


def evaluate(samples, by_domain, **arguments):
    """Return metrics and metric of samples of domains with classes of their own."""
    evaluator = Evaluator({"type": "MultiDomainIoU", **arguments})
    first = next(iter(by_domain.values()))
    evaluator.dataset_meta = {"classes": first, "domain_classes": by_domain}
    for one in samples:
        evaluator.process([one])
    return evaluator.evaluate(len(samples)), evaluator.metrics[0]


def plain(label, prediction, group_of, groups, void_is_wrong=False):
    """Return the IoU of each group in percent, pixel by pixel, and the share without a group."""
    hits, union, none, labelled = [0] * groups, [0] * groups, 0, 0
    for mine, cls in zip(label.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        theirs = group_of[cls]
        if mine == 255:
            if void_is_wrong and theirs is not None:
                union[theirs] += 1
            continue
        labelled += 1
        none += theirs is None
        union[mine] += 1
        if theirs == mine:
            hits[mine] += 1
        elif theirs is not None:
            union[theirs] += 1
    ious = [100 * h / u if u else None for h, u in zip(hits, union, strict=True)]
    return ious, 100 * none / labelled


@pytest.mark.parametrize("void_is_wrong", [False, True])
@pytest.mark.parametrize("left_out", [None, 6])
def test_scores_over_groups_are_those_of_plain_loops(left_out, void_is_wrong):
    label, prediction = drawn(0, 11)
    group_of = tuple(None if at == left_out else group for at, group in enumerate(TO_CAMVID))
    mapping = ClassMap(CLASSES, CAMVID.classes, group_of)
    protocol = "void_is_wrong" if void_is_wrong else "native"
    metrics, metric = evaluate(
        [sample("camvid", label, prediction)], {"camvid": CAMVID.classes}, classes=CLASSES,
        maps={"*": mapping.to_dict()}, protocol=protocol,
    )  # fmt: skip
    ious, none = plain(label, prediction, group_of, 11, void_is_wrong)
    for name, value in zip(CAMVID.classes, ious, strict=True):
        assert metrics[f"camvid/IoU.{name}"] == pytest.approx(value, abs=1e-9)
    assert metrics["camvid/mIoU"] == pytest.approx(np.mean(ious), abs=1e-9)
    result = metric.domain_results["camvid"]
    assert result["no_group"] == pytest.approx(none, abs=1e-9)
    assert (none > 0) == (left_out is not None)
    assert result["mapping"] == mapping.to_dict()
    assert result["classes"] == list(CLASSES)
    # Void is kept, as the last row, and is not scored by default.
    kept = metric.image_confusions["camvid"].counts[0]
    assert kept.shape == (12, 19)
    assert np.array_equal(kept, result["confusion"])
    void = label == 255
    assert np.array_equal(kept[-1], np.bincount(prediction[void], minlength=19))
    json.dumps(result, allow_nan=False)


def test_void_is_wrong_where_labels_have_the_network_s_own_classes():
    label, prediction = drawn(1, 7, 7)
    metrics, _ = evaluate(
        [sample("idd_lite", label, prediction)], {"idd_lite": IDD_LITE.classes},
        protocol="void_is_wrong",
    )  # fmt: skip
    ious, _ = plain(label, prediction, range(7), 7, void_is_wrong=True)
    assert metrics["idd_lite/mIoU"] == pytest.approx(np.mean(ious), abs=1e-9)


@pytest.fixture(scope="module")
def mixed():
    """A source of 19 classes and targets of 11 and 7."""
    found = []
    for domain, groups in (("city", 19), ("camvid", 11), ("idd_lite", 7)):
        found += [sample(domain, *drawn(seed, groups)) for seed in (groups, groups + 1)]
    return found


BY_DOMAIN = {"city": CLASSES, "camvid": CAMVID.classes, "idd_lite": IDD_LITE.classes}


def test_different_classes_are_never_averaged(mixed):
    metrics, metric = evaluate(mixed, BY_DOMAIN, source="city")
    assert "targets/mIoU" not in metrics
    assert "gap" not in metrics
    for domain, names in BY_DOMAIN.items():
        assert list(metric.domain_results[domain]["IoU"]) == list(names)
    assert "mapping" not in metric.domain_results["city"]


@pytest.mark.parametrize("target", ["camvid", "idd_lite"])
def test_the_gap_is_to_the_source_s_score_over_the_groups(mixed, target):
    samples = [one for one in mixed if one.target in ("city", target)]
    metrics, _ = evaluate(samples, BY_DOMAIN, source="city")
    mapping = known_map(CLASSES, SPACES[target])
    labels, predictions = (
        np.concatenate([getattr(s, key).data.numpy() for s in samples if s.target == "city"])
        for key in ("gt_sem_seg", "pred_sem_seg")
    )
    merged = np.where(labels == 255, 255, np.array([*mapping.group_of, *[255] * 237])[labels])
    ious, _ = plain(merged, predictions, mapping.group_of, len(mapping.groups))
    assert metrics["targets/mIoU"] == metrics[f"{target}/mIoU"]
    expected = np.mean(ious) - metrics["targets/mIoU"]
    assert metrics["gap"] == pytest.approx(expected, abs=1e-9)
    # The source's own score is over 19 classes, and is another number.
    assert abs(metrics["city/mIoU"] - np.mean(ious)) > 1


def test_a_source_and_a_target_of_coarse_classes_have_no_gap(mixed):
    samples = [one for one in mixed if one.target != "city"]
    metrics, _ = evaluate(samples, BY_DOMAIN, source="camvid", classes=CLASSES)
    assert "targets/mIoU" in metrics
    assert "gap" not in metrics


def test_maps_by_domain_and_for_all_others(mixed):
    first = known_map(CLASSES, CAMVID)
    other = ClassMap(CLASSES, CAMVID.classes, (0,) * 19)
    _, metric = evaluate(
        mixed, BY_DOMAIN, classes=CLASSES,
        maps={"camvid": other.to_dict(), "*": known_map(CLASSES, IDD_LITE).to_dict()}
        | {"city": identity(CLASSES).to_dict()},
    )  # fmt: skip
    assert metric.map_of("camvid") == other != first
    assert metric.map_of("idd_lite") == known_map(CLASSES, IDD_LITE)
    # A map that is given is used even for the network's own classes.
    assert metric.domain_results["city"]["mapping"]["groups"]["road"] == ["road"]


def test_what_cannot_be_scored_is_one_line(mixed):
    def line(samples, **arguments):
        with pytest.raises(UserError) as caught:
            evaluate(samples, BY_DOMAIN, **arguments)
        assert "\n" not in caught.value.line
        return caught.value.line

    camvid = [one for one in mixed if one.target == "camvid"]
    assert "give a map by --map FILE" in line(camvid, classes=("grass", "path"))
    assert "protocol 'synthia13' scores 13 classes of Cityscapes, and the labels of 'camvid'" in (
        line(camvid, protocol="synthia13")
    )
    label, prediction = drawn(0, 11)
    prediction[0, 0] = 19
    label[0, 0] = 3
    assert "prediction 19 is not a class" in line(
        [sample("camvid", label, prediction)], classes=CLASSES
    )
    label[0, 0] = 12
    assert "label value 12 is neither a class nor ignored" in line(
        [sample("camvid", label, prediction)], classes=CLASSES
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(2, 12))
def test_counts_of_groups_are_those_of_plain_loops(seed, groups, classes):
    rng = np.random.default_rng(seed)
    label = rng.choice([*range(groups), 255], (6, 5))
    prediction = rng.integers(0, classes, label.shape)
    expected = np.zeros((groups + 1, classes), np.int64)
    for mine, theirs in zip(label.ravel(), prediction.ravel(), strict=True):
        expected[groups if mine == 255 else mine, theirs] += 1
    for kind in (np.asarray, torch.from_numpy):
        assert np.array_equal(
            group_matrix(kind(prediction), kind(label), groups, classes), expected
        )


@pytest.mark.parametrize(
    ("outputs", "given", "trained", "evaluated", "expected"),
    [
        (2, ("a", "b"), None, CLASSES, ("a", "b")),
        (2, None, ("a", "b"), CLASSES, ("a", "b")),
        (7, None, ("a", "b"), IDD_LITE.classes, IDD_LITE.classes),
        (19, None, None, CAMVID.classes, CLASSES),
        (20, None, None, CAMVID.classes, (*CLASSES, "background")),
        (19, None, ("a", "b"), CAMVID.classes, CLASSES),
        (None, None, ("a", "b"), CLASSES, ("a", "b")),
    ],
)
def test_the_classes_of_a_network(outputs, given, trained, evaluated, expected):
    assert network_classes(outputs, given, trained, evaluated) == expected


def test_a_head_of_another_width():
    with pytest.raises(UserError, match="2 classes are named for a network of 3 outputs: name one"):
        network_classes(3, ("a", "b"), None, CLASSES)
    with pytest.raises(UserError, match="3 outputs, and the labels have 19 classes: name the"):
        network_classes(3, None, ("a", "b"), CLASSES)


def made(seed: int = 0, images: int = 3) -> StoredConfusions:
    """Return matrices of a domain of the network's classes, and of one with groups."""
    rng = np.random.default_rng(seed)
    mapping = ClassMap(CLASSES, CAMVID.classes, (None, *TO_CAMVID[1:]))
    names = tuple(f"val/{at}.png" for at in range(images))
    return StoredConfusions(
        CLASSES,
        {
            "city": ImageConfusions(names, rng.integers(0, 9**6, (images, 19, 19))),
            "camvid": ImageConfusions(
                names, rng.integers(0, 9**6, (images, 12, 19)), mapping=mapping
            ),
        },
        step=7,
    )


def test_counts_with_a_map_are_written_and_read(tmp_path):
    content = made()
    write_confusions(tmp_path / "a.npz", content)
    found = read_confusions(tmp_path / "a.npz", CLASSES)
    for name, part in content.domains.items():
        other = found.domains[name]
        assert np.array_equal(other.counts, part.counts)
        assert (other.images, other.scored, other.mapping) == (
            part.images, part.scored, part.mapping,
        )  # fmt: skip
    assert found.names("camvid") == CAMVID.classes
    assert found.domains["camvid"].scored_counts.shape == (3, 11, 12)
    with np.load(tmp_path / "a.npz") as arrays:
        header = json.loads(arrays["header"].tobytes())
    assert header["version"] == 2
    # Two lines of NumPy read them.
    with np.load(tmp_path / "a.npz") as arrays:
        counts = sum(p.astype(int) << 8 * k for k, p in enumerate(arrays["counts_1"]))
    assert np.array_equal(counts, content.domains["camvid"].counts)


def test_files_without_a_map_stay_of_version_1(tmp_path):
    content = made()
    alone = StoredConfusions(CLASSES, {"city": content.domains["city"]})
    write_confusions(tmp_path / "a.npz", alone)
    with np.load(tmp_path / "a.npz") as arrays:
        header = json.loads(arrays["header"].tobytes())
    assert header["version"] == 1
    assert "map" not in header["domains"][0]


def test_counts_of_another_shape_are_not_written(tmp_path):
    content = made()
    square = ImageConfusions(
        ("a",), np.zeros((1, 19, 19), int), mapping=content.domains["camvid"].mapping
    )
    with pytest.raises(ValueError, match=r"counts of shape \(1, 19, 19\), expected \(1, 12, 19\)"):
        write_confusions(tmp_path / "a.npz", StoredConfusions(CLASSES, {"camvid": square}))


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.pop("map"),
        lambda entry: entry["map"]["groups"].pop("sky"),
        lambda entry: entry["map"]["groups"]["sky"].append("road"),
        lambda entry: entry["map"]["none"].append("roof"),
        lambda entry: entry.update(map=3),
        lambda entry: entry.update(map={"groups": []}),
    ],
)
def test_a_damaged_map_is_one_line_that_names_the_file(change, tmp_path):
    path = tmp_path / "a.npz"
    write_confusions(path, made())
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(arrays["header"].tobytes())
    change(header["domains"][1])
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **arrays)
    with pytest.raises(UserError) as caught:
        read_confusions(path)
    assert caught.value.line.startswith(f"{path}: not a file of confusion matrices, or damaged")


def test_a_result_and_its_file_agree(tmp_path):
    content = made()
    write_confusions(tmp_path / "confusions.npz", content)
    domains = {
        name: {"confusion": part.counts.sum(axis=0).tolist()}
        for name, part in content.domains.items()
    }
    result = {"domains": domains, "confusions": "confusions.npz"}
    assert confusions_of(result, tmp_path).names("camvid") == CAMVID.classes
    domains["camvid"]["confusion"][11][0] += 1  # void counts, too
    with pytest.raises(UserError, match="the counts of 'camvid' do not add up"):
        confusions_of(result, tmp_path)


def test_scores_of_stored_groups_are_the_metric_s(mixed):
    metrics, metric = evaluate(mixed, BY_DOMAIN, source="city")
    for domain, images in metric.image_confusions.items():
        found = scores(images.scored_counts.sum(axis=0), images.class_names(CLASSES))
        assert found.mIoU == metrics[f"{domain}/mIoU"]


def test_the_metric_prints_what_was_mapped_to_what(mixed, tmp_path):
    from mmengine.logging import MMLogger

    log = tmp_path / "run.log"
    logger = MMLogger.get_instance("groups", log_file=str(log))
    mapping = ClassMap(CLASSES, CAMVID.classes, (None, *TO_CAMVID[1:]))
    evaluate(mixed, BY_DOMAIN, source="city", maps={"camvid": mapping.to_dict()})
    for handler in list(logger.handlers):
        handler.close()
        logger.removeHandler(handler)
    text = log.read_text()
    assert "19 predicted classes in 11 groups:" in text
    assert "  car: car, truck, bus, train\n" in text
    assert "  road: -\n" in text
    assert "  without a group: road (" in text
    assert "no mean over targets: their classes differ (camvid: 11, idd_lite: 7)" in text


def test_the_metric_s_arguments_are_checked():
    with pytest.raises(UserError, match="merge"):
        MultiDomainIoU(merge="softt")
