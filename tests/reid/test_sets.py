"""Every layout is read as its owner wrote it, and what does not fit is one line.

The trees of the golden file are in the parity.
"""

import pytest

from ibn_seg.errors import UserError
from ibn_seg.reid.set_numbers import check_search, part_numbers, unmatched
from ibn_seg.reid.sets.all_sets import PICTURE_SETS, picture_set, picture_set_class
from ibn_seg.reid.sets.picture_set import training_labels
from tests.reid.picture_files import MARKET


def write(root, *names):
    """Write empty files."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def listed(name, root, part, **options):
    """Return name, identity and camera of a part's pictures."""
    found = picture_set(name, root, **options).pictures(part)
    return [(one.path.name, one.identity, one.camera) for one in found]


@pytest.mark.parametrize("inner", ["", "Market-1501-v15.09.15", "market1501"])
def test_market_is_found_in_the_folders_of_all_tools(tmp_path, inner):
    for folder, names in MARKET.items():
        write(tmp_path / inner / folder, *names, "Thumbs.db")
    assert listed("market1501", tmp_path, "query") == [
        ("0001_c1s1_001051_00.jpg", 1, 0),
        ("1488_c5s3_071737_00.jpg.jpg", 1488, 4),
    ]
    found = picture_set("market1501", tmp_path)
    numbers = part_numbers(found.pictures("gallery"), found.CARD)
    assert (numbers.pictures, numbers.identities, numbers.junk, numbers.distractors) == (5, 2, 1, 2)
    assert numbers.doubled == 2
    assert numbers.cameras == {0: 2, 1: 1, 2: 1, 3: 1}
    assert unmatched(found.pictures("query"), found.pictures("gallery")) == []


def test_msmt17_is_read_by_its_lists(tmp_path):
    line = "0000/0000_000_01_0303morning_0008_0.jpg 0\n"
    for inner, train in (("MSMT17_V1", "train"), ("MSMT17_V2", "mask_train_v2")):
        root = tmp_path / inner
        write(root / train, "0000/0000_000_01_0303morning_0008_0.jpg")
        (root / "list_train.txt").write_text(line)
        (root / "list_val.txt").write_text("0000/0000_001_15_0303morning_0008_0_ex.jpg 0\n\n")
        found = picture_set("msmt17", root)
        (picture,) = found.pictures("train")
        assert picture.path.is_file()
        both = listed("msmt17", root, "train", val=True)
        assert both[1] == ("0000_001_15_0303morning_0008_0_ex.jpg", 0, 14)
        assert not found.has("query")
    assert picture_set("msmt17", root, val=True).expected["train"].pictures == 32621
    (root / "list_train.txt").write_text(line + "no label\n")
    with pytest.raises(UserError, match=r"list_train\.txt, line 2: 'no label'"):
        listed("msmt17", root, "train")
    with pytest.raises(UserError, match="unknown MSMT17 val 'yes'"):
        picture_set("msmt17", root, val="yes")


def test_cuhk03_np_has_two_kinds_of_boxes(tmp_path):
    for boxes, camera in (("detected", 1), ("labeled", 2)):
        write(tmp_path / "cuhk03-np" / boxes / "query", f"0003_c{camera}_7.png")
    assert listed("cuhk03_np", tmp_path, "query") == [("0003_c1_7.png", 3, 0)]
    assert listed("cuhk03_np", tmp_path, "query", boxes="labeled") == [("0003_c2_7.png", 3, 1)]
    inside = tmp_path / "cuhk03-np" / "labeled"
    assert picture_set("cuhk03_np", inside, boxes="labeled").expected["train"].pictures == 7368
    with pytest.raises(UserError, match="this folder is 'labeled'"):
        picture_set("cuhk03_np", inside)


def test_personx_joins_its_backgrounds(tmp_path):
    write(tmp_path / "1" / "query", "0001_c1s1_01.jpg")
    write(tmp_path / "6" / "query", "0001_c6s1_01.jpg")
    rows = [("0001_c1s1_01.jpg", 1, 0), ("0001_c6s1_01.jpg", 1, 5)]
    assert listed("personx", tmp_path, "query") == rows
    assert not picture_set("personx", tmp_path).has("train")


def test_people_and_cameras_of_unrealperson_are_told_apart_by_their_folder(tmp_path):
    """Person 1 of batch 1 and of batch 2, camera 3 of scene 1 and of scene 2."""
    for folder in ("unreal_v1.1", "unreal_v1.2", "unreal_v2.1"):
        write(tmp_path / folder / "images", "1_c3_20.jpg")
    found = [row[1:] for row in listed("unrealperson", tmp_path, "train")]
    assert found == [(0, 0), (1, 0), (0, 1)]


def test_scenes_of_clonedperson_have_cameras_of_their_own(tmp_path):
    write(tmp_path / "ClonedPerson" / "test" / "query", "700000_s02_c00_f023389.jpg",
          "700000_s12_c03_f000001.jpg")  # fmt: skip
    found = [row[1:] for row in listed("clonedperson", tmp_path, "query")]
    assert found == [(700000, 0), (700000, 23)]


def test_veri_is_read(tmp_path):
    write(tmp_path / "VeRi" / "image_query", "0002_c020_00030600_0.jpg")
    assert listed("veri776", tmp_path, "query") == [("0002_c020_00030600_0.jpg", 2, 19)]


def test_a_folder_has_names_of_its_own(tmp_path):
    write(tmp_path / "gallery", "cam2-person17-a.jpg")
    pattern = r"cam(?P<camera>\d+)-person(?P<identity>\d+)"
    rows = [("cam2-person17-a.jpg", 17, 2)]
    assert listed("reid_folder", tmp_path, "gallery", pattern=pattern) == rows
    with pytest.raises(UserError, match=r"cam2-person17-a.jpg: no name of folder of pictures"):
        listed("reid_folder", tmp_path, "gallery")
    with pytest.raises(UserError, match="it has to have"):
        picture_set("reid_folder", tmp_path, pattern="(?P<camera>.)")
    with pytest.raises(UserError, match="have to be whole numbers"):
        listed("reid_folder", tmp_path, "gallery", pattern=r"(?P<camera>\w)(?P<identity>\w)")


@pytest.mark.parametrize(
    ("name", "folder", "file", "message"),
    [
        ("market1501", "query", "person_1.jpg", "no name of Market-1501: such as 0002_c1s1"),
        ("market1501", "query", "0001_c7s1_001051_00.jpg", "camera 7; Market-1501 has 6"),
        ("market1501", "query", "0001_c0s1_001051_00.jpg", "camera 0"),
        ("dukemtmc_reid", "query", "0001_c9_f0046182.jpg", "camera 9; DukeMTMC-reID has 8"),
        ("randperson", "subset", "000000_s11_c00_f000264.jpg", "no name of RandPerson"),
        ("randperson", "subset", "000000_s10_c09_f000264.jpg", "camera 24; RandPerson has 19"),
        ("clonedperson", "train", "1_s13_c00_f1.jpg", "no name of ClonedPerson"),
        ("clonedperson", "train", "1_s12_c04_f1.jpg", "camera 24; ClonedPerson has 24"),
        ("unrealperson", "unreal_v1.1/images", "a.jpg", "no name of UnrealPerson"),
    ],
)
def test_a_bad_name_is_one_line_with_the_file(tmp_path, name, folder, file, message):
    write(tmp_path / folder, file)
    (part,) = (
        part for part in picture_set(name, tmp_path).parts if picture_set(name, tmp_path).has(part)
    )
    with pytest.raises(UserError, match=message) as error:
        listed(name, tmp_path, part)
    assert str(tmp_path / folder / file) in error.value.line


@pytest.mark.parametrize("name", PICTURE_SETS)
def test_an_empty_folder_is_one_line(tmp_path, name):
    with pytest.raises(UserError, match=str(tmp_path)):
        picture_set(name, tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        picture_set(name, tmp_path / "nowhere")


def test_an_unknown_set_is_one_line():
    with pytest.raises(UserError, match="did you mean 'market1501'"):
        picture_set("market", ".")


@pytest.mark.parametrize(
    ("name", "counts"),
    [("market1501", (12936, 3368, 15913)), ("dukemtmc_reid", (16522, 2228, 17661))],
)
def test_the_official_counts_are_those_of_the_real_lists(name, counts):
    expected = picture_set_class(name).CARD.expected
    assert counts == tuple(one.pictures - one.junk for one in expected.values())


def test_labels_for_training_have_no_gaps(tmp_path):
    write(tmp_path / "subset", "000012_s03_c01_f7.jpg", "000001_s00_c00_f1.jpg",
          "000012_s03_c00_f7.jpg")  # fmt: skip
    found = picture_set("randperson", tmp_path).pictures("train")
    assert [one.identity for one in found] == [1, 12, 12]
    assert training_labels(found) == [0, 1, 1]


def test_a_set_for_training_alone_has_no_search(tmp_path):
    write(tmp_path / "subset", "000000_s00_c00_f1.jpg")
    write(tmp_path / "unreal_v1.1" / "images", "1_c1_1.jpg")
    for name in ("randperson", "unrealperson"):
        found = picture_set(name, tmp_path)
        assert found.has("train")
        assert not found.has_search
        with pytest.raises(UserError, match=r"unknown part of .*Person 'query'"):
            found.pictures("query")


def test_number_0_is_nobody_only_where_a_set_has_distractors(tmp_path):
    write(tmp_path / "subset", "000000_s00_c00_f1.jpg", "000001_s00_c00_f1.jpg")
    write(tmp_path / "bounding_box_train", "0000_c1s1_1.jpg", "-1_c1s1_1.jpg", "0002_c1s1_1.jpg")
    numbers = {
        name: [one.identity for one in picture_set(name, tmp_path).people("train")]
        for name in ("randperson", "market1501")
    }
    assert numbers == {"randperson": [0, 1], "market1501": [2]}


def test_what_cannot_be_searched_is_one_line(tmp_path):
    names = ["1_c0_a.jpg", "1_c1_a.jpg", "2_c0_a.jpg"]
    write(tmp_path / "query", *names)
    one, other, stranger = picture_set("reid_folder", tmp_path).pictures("query")
    check_search([one], [other, stranger])
    with pytest.raises(UserError, match="no identity in common"):
        check_search([one], [stranger])
    with pytest.raises(UserError, match="all pictures are from camera 0"):
        check_search([one], [one, stranger])
    with pytest.raises(UserError, match=r"1_c0_a\.jpg: the query is listed twice"):
        check_search([one, one], [other])
    with pytest.raises(UserError, match="0 queries and 1 gallery pictures"):
        check_search([], [other])
    with pytest.raises(UserError, match=f"{tmp_path}: .* no identity in common"):
        check_search([one], [stranger], tmp_path)
