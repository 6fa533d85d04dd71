"""The comparison of real networks, on made folders whose numbers the code cannot know."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.datasets import own_class_writers as own
from tests.helpers import write_image
from tests.parity import real_networks

# Group of each trainId and names, as in the golden file; written out here, not taken from the code.
GROUPS = {
    "camvid": (
        ["sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car",
         "pedestrian", "bicyclist"],
        [3, 4, 1, 1, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8, 8, 10, 10],
    ),
    "idd_lite": (
        ["drivable", "non-drivable", "living things", "vehicles", "roadside objects",
         "far objects", "sky"],
        [0, 1, 5, 4, 4, 4, 4, 4, 5, 1, 6, 2, 2, 3, 3, 3, 3, 3, 3],
    ),
}  # fmt: skip
# Where the prediction of an image lies, by the image's path below the data set's root.
PLACES = {
    "camvid": lambda image: Path(image).name if image.startswith("test/") else None,
    "idd_lite": lambda image: image.partition("val/")[2].replace(".jpg", ".png"),
}


def plain_scores(counts: np.ndarray, group_of: list[int | None], groups: int) -> dict:
    """Return scores of (groups + 1, classes) counts, pair by pair, in percent."""
    hits, labelled, predicted = ([0] * groups for _ in range(3))
    for row in range(groups):
        for column in range(counts.shape[1]):
            pixels, theirs = int(counts[row, column]), group_of[column]
            labelled[row] += pixels
            if theirs is not None:
                predicted[theirs] += pixels
            if theirs == row:
                hits[row] += pixels
    ious = [100 * h / (a + b - h) for h, a, b in zip(hits, labelled, predicted, strict=True)]
    return {
        "mIoU": sum(ious) / groups,
        "aAcc": 100 * sum(hits) / sum(labelled),
        "mAcc": sum(100 * h / a for h, a in zip(hits, labelled, strict=True)) / groups,
        "IoU": ious,
    }


def predict(folder: Path, domain: str, expected: dict, classes: int, seed: int):
    """Write predictions of classes, half of them right; return counts and number of images."""
    names, group_of = GROUPS[domain]
    rng, counts, images = np.random.default_rng(seed), np.zeros((len(names) + 1, classes), int), 0
    for image, label in expected.items():
        if (place := PLACES[domain](image)) is None:
            continue
        drawn = rng.integers(0, classes, label.shape).astype(np.uint8)
        first = np.array([group_of.index(g) for g in range(len(names))], np.uint8)
        right = (rng.random(label.shape) < 0.5) & (label < len(names)) & (classes == 19)
        drawn[right] = first[label[right]]
        write_image(folder / domain / place, drawn)
        rows = np.where(label == 255, len(names), label)
        np.add.at(counts, (rows.ravel(), drawn.ravel()), 1)
        images += 1
    return counts, images


def entry_of(counts: np.ndarray, images: int, domain: str) -> dict:
    names, group_of = GROUPS[domain]
    found = plain_scores(counts, group_of, len(names))
    ious = dict(zip(names, found["IoU"], strict=True))
    return {**found, "IoU": ious, "images": images, "counts": counts.tolist()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with data, predictions of two networks, and their golden file."""
    base = tmp_path_factory.mktemp("real")
    expected = {
        "camvid": own.camvid_segnet(base / "data" / "CamVid"),
        "idd_lite": own.idd_lite(base / "data" / "idd20k_lite"),
    }
    groups = {
        domain: {"names": names, "group_of_trainId": group_of}
        for domain, (names, group_of) in GROUPS.items()
    }
    golden = {"schema": 1, "groups": groups, "networks": {}}
    for seed, network in enumerate(("oak_net", "elm_net")):
        golden["networks"][network] = {
            domain: entry_of(
                *predict(base / "predictions" / network, domain, labels, 19, seed), domain
            )
            for domain, labels in expected.items()
        }
    published(base, golden, expected["camvid"])
    (base / "golden.json").write_text(json.dumps(golden))
    return base, golden


def published(base: Path, golden: dict, labels: dict) -> None:
    """Add a network of CamVid's classes and void, whose scores are published."""
    counts, _ = predict(base / "predictions" / "ash_net", "camvid", labels, 12, 7)
    ignored = plain_scores(counts, [*range(11), None], 11)
    ious = [
        100 * counts[k, k] / (counts[k].sum() + counts[:, k].sum() - counts[k, k])
        for k in range(11)
    ]
    golden["published_check"] = {
        "what": "Ash (weights/ash_net.pth), rows labels 0..11, columns argmax of 12 outputs",
        "confusion": counts.tolist(),
        "mIoU_void_ignored": round(ignored["mIoU"], 2),
        "mIoU_predictions_on_void_are_false_positives": round(sum(ious) / 11, 2),
        "class_average": round(ignored["mAcc"], 2),
    }


def run(base: Path, golden: dict, capsys, predictions: str = "predictions") -> tuple[int, str]:
    path = base / "changed.json"
    path.write_text(json.dumps(golden))
    code = real_networks.main([str(path), str(base / predictions), "--data", str(base / "data")])
    return code, capsys.readouterr().out


def changed(golden: dict) -> dict:
    return json.loads(json.dumps(golden))


def test_all_agree(made, capsys):
    base, golden = made
    code, out = run(base, golden, capsys)
    assert code == 0, out
    lines = out.splitlines()
    assert [line for line in lines if line.startswith(("NOT ", "     "))] == []
    # Two maps, three published figures, four of networks and domains, two rules of void.
    assert lines[-1] == f"{2 + 3 + 4 * 7 + 2 * 2} comparisons, 0 disagree"
    for network in ("oak_net", "elm_net"):
        for domain in GROUPS:
            value = golden["networks"][network][domain]["mIoU"]
            assert f"ok   {network}, {domain}: mIoU {value:.6f}" in lines
    assert any(line.startswith("ok   ash_net, void_is_wrong: mIoU") for line in lines)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one["counts"][3].__setitem__(4, one["counts"][3][4] + 1), "counts (12, 19)"),
        (lambda one: one["counts"][11].__setitem__(0, one["counts"][11][0] - 1), "counts (12, 19)"),
        (lambda one: one["IoU"].update(pole=one["IoU"]["pole"] + 3e-6), "IoU of 11 classes"),
        (lambda one: one.update(mIoU=one["mIoU"] - 3e-6), "mIoU"),
        (lambda one: one.update(images=2), "1 images"),
    ],
)
def test_one_number_disagrees(made, capsys, change, said):
    base, golden = made[0], changed(made[1])
    entry = golden["networks"]["oak_net"]["camvid"]
    golden = {"networks": {"oak_net": {"camvid": entry}}}
    change(entry)
    code, out = run(base, golden, capsys)
    assert code == 1
    (line,) = (line for line in out.splitlines() if line.startswith("NOT "))
    assert line.startswith(f"NOT  oak_net, camvid: {said}")
    assert out.endswith("1 disagree\n")


def test_another_map_disagrees(made, capsys):
    base, golden = made[0], changed(made[1])
    golden["groups"]["camvid"]["group_of_trainId"][3] = 7
    golden["networks"] = {}
    code, out = run(base, golden, capsys)
    assert (code, "NOT  map to camvid: 11 groups" in out) == (1, True)


def test_published_figures_that_do_not_follow(made, capsys):
    base, golden = made[0], changed(made[1])
    golden["networks"] = {}
    golden["published_check"]["mIoU_void_ignored"] += 0.02
    code, out = run(base, golden, capsys)
    assert code == 1
    assert "NOT  published check: mIoU" in out


def test_what_is_on_one_side_alone_is_named(made, capsys, tmp_path):
    base, golden = made[0], changed(made[1])
    networks = golden["networks"]
    networks["yew_net"] = networks["oak_net"]
    del networks["elm_net"], networks["oak_net"]["idd_lite"]
    code, out = run(base, golden, capsys)
    assert code == 0
    for line in ("yew_net: no predictions", "elm_net: no entry", "oak_net, idd_lite: no entry"):
        assert f"     {line}" in out.splitlines()


def test_order_and_missing_facts_of_an_entry_do_not_matter(made, capsys):
    base, golden = made[0], changed(made[1])
    entry = golden["networks"]["oak_net"]["camvid"]
    entry["IoU"] = dict(sorted(entry["IoU"].items()))
    del entry["aAcc"]
    code, out = run(base, {"networks": {"oak_net": {"camvid": entry}}}, capsys)
    assert code == 0, out
    assert "ok   oak_net, camvid: IoU of 11 classes" in out.splitlines()
    assert "     oak_net, camvid: no aAcc in the file" in out.splitlines()


def test_absent_classes_may_be_null_or_left_out():
    ours = {"sky": 50.0, "pole": 1.0}
    for theirs in (ours, {**ours, "car": None}, {"car": math.nan, **ours}):
        assert real_networks.agree(ours, theirs)
    for theirs in ({"sky": 50.0}, {**ours, "car": 0.0}, {**ours, "pole": None}):
        assert not real_networks.agree(ours, theirs)


def test_what_is_refused_is_one_line_and_the_rest_goes_on(made, capsys, tmp_path):
    base, golden = made[0], changed(made[1])
    for network in ("oak_net", "elm_net"):
        shutil.copytree(base / "predictions" / network, tmp_path / network)
    first = next((tmp_path / "oak_net" / "camvid").iterdir())
    first.write_bytes(b"")
    (tmp_path / "elm_net" / "kitti").mkdir()
    code, out = run(base, golden, capsys, str(tmp_path))
    assert code == 1
    (line,) = (line for line in out.splitlines() if line.startswith("NOT "))
    assert line.startswith(f"NOT  oak_net, camvid: {first}: cannot be read as a picture")
    assert "     elm_net, kitti: no data set of this comparison" in out.splitlines()
    assert out.count("ok   elm_net, ") == 14


def test_twenty_outputs_by_the_columns_of_the_counts(made, capsys, tmp_path):
    base, golden = made[0], changed(made[1])
    labels = own.camvid_segnet(tmp_path / "data" / "CamVid")
    counts, images = predict(tmp_path / "predictions" / "fir_net", "camvid", labels, 20, 3)
    found = plain_scores(counts, [*GROUPS["camvid"][1], None], 11)
    entry = {"counts": counts.tolist(), "images": images, "mIoU": found["mIoU"]}
    golden = {"networks": {"fir_net": {"camvid": entry}}}
    code, out = run(base, golden, capsys, str(tmp_path / "predictions"))
    assert code == 0, out
    assert "ok   fir_net, camvid: counts (12, 20)" in out.splitlines()


@pytest.mark.parametrize("arguments", [["gone.json"], ["{golden}", "gone"]])
def test_a_file_or_folder_that_is_not_there(made, arguments, capsys):
    golden = str(made[0] / "golden.json")
    with pytest.raises(SystemExit, match="2"):
        real_networks.main([one.format(golden=golden) for one in arguments])
    assert "error: gone" in capsys.readouterr().err


def test_nothing_to_compare_is_no_agreement(made, capsys):
    base, _ = made
    code, out = run(base, {"networks": {}}, capsys)
    assert (code, out.splitlines()[-1]) == (1, "0 comparisons, 0 disagree")
    assert "     oak_net: no entry" in out.splitlines()


@pytest.mark.slow
@pytest.mark.skipif(not real_networks.PREDICTIONS.is_dir(), reason="no photographs")
def test_the_real_networks_agree(capsys):
    assert real_networks.main([]) == 0, capsys.readouterr().out
    out = capsys.readouterr().out
    assert "ok   espnetv2_s_2.0_city_1024x512, camvid: mIoU 54.146508" in out
    assert "espnetv2_s_0.5_city_512x256: no predictions" in out
