"""Real photographs, where they lie beside the project; without them the tests are skipped."""

from pathlib import Path

import pytest

from ibn_seg.datasets.camvid import CamVidDataset
from ibn_seg.datasets.idd_lite import IDDLiteDataset
from ibn_seg.downloads.check import check
from tests.parity.real_networks import DATA, ROOTS

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no photographs in {DATA}")
# Class and percent of all pixels of the training set, from the data's README; the last is void.
CAMVID = (16.85, 23.26, 0.98, 31.66, 4.49, 9.72, 1.17, 1.13, 5.87, 0.64, 0.29, 3.95)
IDD_LITE = (32.38, 2.19, 1.31, 8.06, 11.20, 25.98, 18.87, 0.02)


def root(name: str) -> Path:
    return DATA / ROOTS[name]


@pytest.mark.parametrize(
    ("name", "pairs", "percents", "labels_only"),
    [
        # Half a gigabyte of pixels in CamVid's images take ten seconds.
        ("camvid", [367, 101, 233], CAMVID, True),
        pytest.param("camvid", [367, 101, 233], CAMVID, False, marks=pytest.mark.slow),
        ("idd_lite", [1403, 204], IDD_LITE, False),
    ],
)
def test_data_check_finds_nothing_and_counts_as_the_readme_says(name, pairs, percents, labels_only):
    result = check(name, root(name), complete=True, labels_only=labels_only, workers=1)
    assert (result.findings, result.notes) == ([], [])
    assert [listing.pairs for listing in result.listings] == pairs
    counts = result.pixels[0]  # train
    shares = 100 * counts / counts.sum()
    found = [*shares[: len(percents) - 1], shares[255]]
    assert found == pytest.approx(percents, abs=0.006)


def test_camvid_by_time_of_day():
    sizes = {
        (split, part): len(CamVidDataset(root("camvid"), split, part=part))
        for split, part in (("day_train", None), ("day_val", None), ("dusk_train", None),
                            ("dusk_val", None), ("all", "dusk"),
                            ("all", "day"), ("train", "dusk"), ("test", "dusk"))
    }  # fmt: skip
    assert list(sizes.values()) == [431, 146, 93, 31, 124, 577, 62, 62]


def test_idd_lite_has_one_name_in_several_drives():
    dataset = IDDLiteDataset(root("idd_lite"), "train")
    paths = [Path(dataset.get_data_info(at)["img_path"]) for at in range(len(dataset))]
    assert len({path.name for path in paths}) < len(set(paths)) == 1403
