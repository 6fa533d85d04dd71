"""`ibn-seg evaluate` scores folders of one's own by options alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from ibn_seg import cli
from ibn_seg.datasets.labels import CLASSES
from ibn_seg.datasets.targets import target_configs
from ibn_seg.errors import UserError
from tests.datasets import own_class_writers as own
from tests.tiny import run

# The group of each trainId: road and sidewalk are path, terrain is grass, wall is wall.
GROUPS = {"grass": ["vegetation", "terrain"], "path": ["road", "sidewalk"], "wall": ["wall"]}
NAMES = ("grass", "path", "wall")


@pytest.fixture(scope="module")
def yard(tmp_path_factory):
    """Two folders of the same kind, their classes, and a map from Cityscapes'."""
    base = tmp_path_factory.mktemp("yard")
    labels = own.folder_of_values(base / "first")
    own.folder_of_values(base / "second")
    (base / "yard.yaml").write_text(yaml.safe_dump(own.YARD_CLASSES))
    taken = {name for members in GROUPS.values() for name in members}
    none = [name for name in CLASSES if name not in taken]
    (base / "map.yaml").write_text(yaml.safe_dump({"groups": GROUPS, "none": none}))
    return base, labels


def options(base: Path) -> list[str]:
    return [
        "--images", "photos", "--labels", "masks", "--label-suffix", "_mask.png",
        "--label-classes", f"{base}/yard.yaml", "--map", f"{base}/map.yaml",
    ]  # fmt: skip


def ious(labels: dict[str, np.ndarray], predictions: Path) -> dict[str, float]:
    """Return the IoU of each class in percent, from the files alone."""
    group_of = {CLASSES.index(one): at for at, name in enumerate(NAMES) for one in GROUPS[name]}
    hits, union = [0] * 3, [0] * 3
    for image, label in labels.items():
        predicted = np.asarray(Image.open(predictions / f"{Path(image).stem}.png"))
        for mine, theirs in zip(label.ravel().tolist(), predicted.ravel().tolist(), strict=True):
            if mine == 255:
                continue
            union[mine] += 1
            if (group := group_of.get(theirs)) == mine:
                hits[mine] += 1
            elif group is not None:
                union[group] += 1
    return {n: 100 * h / u for n, h, u in zip(NAMES, hits, union, strict=True) if u}


def test_a_network_and_its_predictions_on_a_folder(yard, tiny, trained, tmp_path, capsys):
    base, labels = yard
    args = [
        "evaluate", str(tiny), f"{trained[0]}/iter_6.pth", "--targets", f"folder={base}/first",
        *options(base), "--work-dir", f"{tmp_path}/run", "--out", f"{tmp_path}/out",
    ]  # fmt: skip
    assert cli.run(args) == 0, capsys.readouterr().err
    printed = " ".join(capsys.readouterr().out.split())
    assert "folder: 19 predicted classes in groups" in printed
    assert "vegetation, terrain" in printed
    assert "% of pixels │ building, fence, " in printed
    result = json.loads((tmp_path / "run" / "test.json").read_text())
    scored = result["domains"]["folder"]
    assert scored["IoU"] == pytest.approx(ious(labels, tmp_path / "out" / "folder"), abs=1e-9)
    assert scored["images"] == 3
    assert scored["mapping"]["groups"] == GROUPS
    args = [
        "evaluate", "--predictions", f"{tmp_path}/out", "--method", "theirs", "--workers", "1",
        "--targets", f"folder={base}/first", *options(base), "--work-dir", f"{tmp_path}/again",
    ]  # fmt: skip
    done = run(*args)
    assert done.returncode == 0, done.stderr
    # One table of the scores, and one of the map; mmengine's log has no other.
    assert "mIoU" not in done.stderr
    assert done.stdout.count("mIoU") == 1
    assert done.stdout.count("class of the labels") == 1
    again = json.loads((tmp_path / "again" / "test.json").read_text())
    assert again["domains"] == result["domains"]


def test_several_folders_have_names(yard):
    base, _ = yard
    first, second, city = target_configs(
        [f"folder-oak={base}/first", f"folder-elm={base}/second", "cityscapes=/c"],
        {"images": "photos"},
    )
    assert (first["target"], second["target"]) == ("folder-oak", "folder-elm")
    assert first["data_root"] == f"{base}/first"
    assert first["images"] == second["images"] == "photos"
    assert "images" not in city


@pytest.mark.parametrize(
    ("targets", "arguments", "words"),
    [
        (["folder"], {}, "target 'folder' has no root: write NAME=ROOT$"),
        (["gta5="], {}, "target 'gta5=' has no root: write NAME=ROOT, or NAME alone$"),
        (["folder-oak"], {}, "target 'folder-oak' has no root"),
        (["folder=a", "folder=b"], {}, "target 'folder' is named twice"),
        (["foldr=a"], {}, "unknown target 'foldr': did you mean 'folder'"),
        (["cityscapes"], {"images": "x"}, "images of a folder, and no folder among the targets"),
    ],
)
def test_faults_of_the_targets(targets, arguments, words):
    with pytest.raises(UserError, match=words):
        target_configs(targets, arguments)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--label-classes", "yar.yaml"], "yar.yaml"),
        (["--label-classes", "camvit"], "in --label-classes 'camvit': did you mean 'camvid'"),
        (["--label-suffix", ".bmp"], "no **/*.bmp in"),
        (["--labels", "gone"], "gone' does not exist"),
        (["--label-encoding", "colors"], "not a coloured label file"),
        (["--map", "gone.yaml"], "two maps for all targets: give one"),
        (["--out", "there"], "--out is given with --predictions: it goes with CONFIG and"),
        (["--map", "foldr=gone.yaml"], "target in --map 'foldr': did you mean 'folder'?"),
        (["--map", "folder=gone.yaml"], "gone.yaml: no such map file"),
        (["--map", "folder="], "--map 'folder=' names no file: write FILE or TARGET=FILE"),
        (
            ["--classes", "YARD"],
            "--classes: class 0 (grass) has the label values [3]: the "
            "predictions hold 0 for it; name their classes in a file without values",
        ),
    ],
)
def test_faults_of_the_options(yard, tmp_path, capsys, change, words):
    base, labels = yard
    for image in labels:
        path = tmp_path / "out" / f"{Path(image).stem}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((48, 64), np.uint8)).save(path)
    args = [
        "evaluate", "--predictions", f"{tmp_path}/out", "--method", "x", "--workers", "1",
        "--targets", f"folder={base}/first", *options(base),
        *(one.replace("YARD", f"{base}/yard.yaml") for one in change),
        "--work-dir", f"{tmp_path}/run",
    ]  # fmt: skip
    assert cli.run(args) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert words in error
