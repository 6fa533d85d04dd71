"""`data check` calls harmful what does not load, over formats, EXIF orientations and sizes."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image, ImageOps

import ibn_seg.transforms.loading
import ibn_seg.transforms.random_crop  # noqa: F401
from ibn_seg.cli import run as run_cli
from ibn_seg.datasets.train_ids import TrainIdDataset
from ibn_seg.downloads.check import check
from ibn_seg.downloads.exclude import write_exclude_list
from ibn_seg.downloads.findings import KINDS
from ibn_seg.downloads.stats import measure
from ibn_seg.errors import UserError
from tests.helpers import image_for, random_train_ids

SIZE = (64, 48)
LOAD = [{"type": "LoadImageFromFile"}, {"type": "LoadUrbanLabels"}]
CROP = [{"type": "LoadRandomCrop", "scale": (64, 64), "ratio_range": (1.0, 1.0), "crop_size": 16}]
ORIENTATIONS = (None, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 65535)


def scene(size=SIZE, seed=0):
    """Picture and trainIds, both upright."""
    rng = np.random.default_rng(seed)
    train_ids = random_train_ids(rng, size, ignored=0)
    return image_for(train_ids, rng), train_ids


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def encoded(picture, kind, orientation=None, mode=None, **options):
    """A file of a picture as it is stored, with an orientation in its EXIF."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image = image.convert(mode) if mode else image
    if orientation is not None and kind == "TIFF":
        options["tiffinfo"] = {0x0112: orientation}
    elif orientation is not None:
        options["exif"] = exif(orientation)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def write_pair(root, name, image, label):
    for folder, suffix, content in (("images", ".jpg", image), ("labels", ".png", label)):
        path = root / folder / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else encoded(content, "PNG"))


def load(root, pipeline=None, **options):
    """What a loader makes of each pair: the sample, or the line of its error."""
    dataset = TrainIdDataset(root, image_suffix=".jpg", pipeline=pipeline or LOAD, **options)
    found = {}
    for index in range(len(dataset)):
        name = dataset.get_data_info(index)["img_path"].rpartition("/")[2].removesuffix(".jpg")
        try:
            found[name] = dataset[index]
        except UserError as error:
            found[name] = error.line
    return found


def checked(root, **options):
    return check("train_ids", root, options={"image_suffix": ".jpg"}, workers=1, **options)


def named(findings):
    """The findings' kinds by the name of the pair."""
    kinds = {}
    for finding in findings:
        for name in {file.rpartition("/")[2].partition(".")[0] for file in finding.files}:
            kinds.setdefault(name, set()).add(finding.kind)
    return kinds


def disagreements(root, **options):
    """Pairs of which the check says something else than the loaders."""
    result = checked(root, **options)
    harmful = set(named(one for one in result.findings if KINDS[one.kind].harmful))
    loaded = load(root)
    cropped = load(root, CROP, cache_dir=root.parent / "cache", cache_codec="zlib")
    stops = {name for name, sample in loaded.items() if isinstance(sample, str)}
    assert stops == {name for name, sample in cropped.items() if isinstance(sample, str)}
    return sorted(harmful ^ stops)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "MPO"])
@pytest.mark.parametrize("size", [SIZE, (48, 48)])
def test_orientation_and_sizes(kind, size, tmp_path):
    image, label = scene(size)
    labels = {"upright": label, "turned": np.ascontiguousarray(label.T), "small": label[2:]}
    for orientation, lies in itertools.product(ORIENTATIONS, labels):
        stored = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded(image, "PNG", orientation))))
        write_pair(
            tmp_path / "set", f"{orientation}-{lies}", encoded(stored, kind, orientation),
            labels[lies],
        )  # fmt: skip
    assert disagreements(tmp_path / "set") == []
    assert disagreements(tmp_path / "set", labels_only=True) == []


def test_what_is_said_of_orientations(tmp_path):
    image, label = scene()
    turned = np.ascontiguousarray(label.T)
    for orientation in range(1, 9):
        for lies, values in (("as_stored", label), ("other", turned)):
            write_pair(
                tmp_path, f"{orientation}_{lies}", encoded(image, "JPEG", orientation), values
            )
    kinds = named(checked(tmp_path).findings)
    for orientation in range(1, 9):
        stored, other = (
            kinds.get(f"{orientation}_{lies}", set()) - {"duplicate"}
            for lies in ("as_stored", "other")
        )
        if orientation == 1:
            assert (stored, other) == (set(), {"size-mismatch"})
        elif orientation < 5:
            assert (stored, other) == ({"exif-orientation"}, {"size-mismatch"})
        else:
            assert (stored, other) == ({"size-mismatch"}, set())


def test_the_reason_is_said_by_the_check_and_by_the_loader(tmp_path):
    image, label = scene()
    write_pair(tmp_path, "phone", encoded(image, "JPEG", 6), label)
    (finding,) = checked(tmp_path).findings
    assert finding.files == ("labels/phone.png", "images/phone.jpg")
    assert finding.text == "label of 64x48 for an image of 48x64, which EXIF turns upright"
    line = load(tmp_path)["phone"]
    assert "label of 64x48 pixels for an image of 48x64" in line
    assert "EXIF turns the image upright; turn the label as well" in line
    with pytest.raises(UserError, match="turn the label as well"):
        measure("train_ids", tmp_path, options={"image_suffix": ".jpg"}, workers=1)


@pytest.mark.parametrize("step", [
    {"color_type": "color_ignore_orientation"}, {"color_type": "unchanged"},
])  # fmt: skip
def test_a_loading_step_that_ignores_exif_is_named(step, tmp_path):
    image, label = scene()
    write_pair(tmp_path, "phone", encoded(image, "JPEG", 8), np.ascontiguousarray(label.T))
    line = load(tmp_path, [{**LOAD[0], **step}, LOAD[1]])["phone"]
    assert "its loading step ignores that; load it with imdecode_backend='cv2'" in line
    sample = load(tmp_path, [{**LOAD[0], "imdecode_backend": "pillow"}, LOAD[1]])["phone"]
    assert sample["img"].shape[:2] == sample["gt_seg_map"].shape == (64, 48)


def test_an_upright_label_is_kept_by_fix_and_a_doubtful_one_too(tmp_path):
    image, label = scene()
    upright = np.ascontiguousarray(label.T)
    write_pair(tmp_path, "side", encoded(image, "JPEG", 6), upright)
    write_pair(tmp_path, "head", encoded(scene(seed=1)[0], "JPEG", 3), label)
    write_pair(tmp_path, "wrong", encoded(scene(seed=2)[0], "JPEG", 6), label)
    listed, added = write_exclude_list(checked(tmp_path))
    assert added == 2
    assert "wrong" in listed.read_text()
    assert sorted(load(tmp_path)) == ["head", "side"]
    assert [finding.kind for finding in checked(tmp_path).findings] == ["exif-orientation"]


def test_the_command_ends_with_2_for_what_sizes_cannot_tell(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    image, label = scene((48, 48))
    write_pair(tmp_path / "set", "square", encoded(image, "JPEG", 8), label)
    args = ["data", "check", "train_ids", "set", "--option", "image_suffix=.jpg"]
    assert run_cli(args) == 2
    assert "exif-orientation: images/square.jpg, labels/square.png" in capsys.readouterr().out
    assert run_cli([*args, "--allow", "exif-orientation"]) == 0


def test_a_label_s_own_orientation_is_said(tmp_path):
    image, label = scene()
    write_pair(tmp_path, "both", encoded(image, "JPEG"), encoded(label, "PNG", 3))
    (finding,) = checked(tmp_path).findings
    assert (finding.kind, finding.files[0]) == ("exif-orientation", "labels/both.png")
    assert np.array_equal(load(tmp_path)["both"]["gt_seg_map"], label)


def test_statistics_and_crops_are_of_the_upright_image(tmp_path):
    image, label = scene()
    for orientation in (1, 6):
        root = tmp_path / str(orientation)
        write_pair(root, "a", encoded(image, "PNG", orientation), label if orientation == 1 else
                   np.rot90(label, -1))  # fmt: skip
    plain, turned = (load(tmp_path / name)["a"] for name in ("1", "6"))
    assert np.array_equal(np.rot90(plain["img"], -1), turned["img"])
    assert np.array_equal(np.rot90(plain["gt_seg_map"], -1), turned["gt_seg_map"])
    numbers = [
        measure("train_ids", tmp_path / name, options={"image_suffix": ".jpg"}, workers=1).sums
        for name in ("1", "6")
    ]
    assert np.allclose(numbers[0].sum, numbers[1].sum)
    assert [list(one.sizes) for one in numbers] == [[(64, 48)], [(48, 64)]]


def test_damaged_exif_is_what_the_loader_makes_of_it(tmp_path):
    image, label = scene()
    whole = exif(6)
    rng = np.random.default_rng(0)
    for index in range(60):
        data = bytearray(whole)
        for at in rng.integers(6, len(data), rng.integers(1, 3)):
            data[at] = rng.integers(256)
        del data[int(rng.integers(8, 2 * len(data))) :]
        kind = ("JPEG", "PNG", "WEBP")[index % 3]
        lies = label if index % 2 else np.ascontiguousarray(label.T)
        write_pair(tmp_path / "set", f"{index}", encoded(image, kind, exif=bytes(data)), lies)
    assert disagreements(tmp_path / "set") == []


def photographs():
    """Images of the kinds that cameras and tools write, by name."""
    image, _ = scene()
    grey = image[..., 0]
    yield "progressive", encoded(image, "JPEG", progressive=True)
    yield "mpo", encoded(image, "MPO", save_all=True, append_images=[Image.fromarray(image)])
    for mode in ("L", "CMYK", "YCbCr"):
        yield f"jpeg_{mode}", encoded(image, "JPEG", mode=mode)
    for mode in ("1", "L", "LA", "P", "RGBA"):
        yield f"png_{mode}", encoded(image, "PNG", mode=mode)
    yield "png_16_grey", encoded(grey.astype(np.uint16) * 257, "PNG")
    yield "png_transparent", encoded(image, "PNG", mode="P", transparency=3)
    for mode in ("RGB", "RGBA"):
        yield f"webp_{mode}", encoded(image, "WEBP", mode=mode)
    for mode in ("1", "L", "P", "RGB", "RGBA", "CMYK", "I", "F"):
        yield f"tiff_{mode}", encoded(image, "TIFF", mode=mode)
    for kind in ("BMP", "GIF", "PPM", "JPEG2000", "TGA", "PCX", "ICO", "SGI"):
        yield kind, encoded(image, kind)
    yield "text", b"not a picture"
    yield "empty", b""


def test_photographs_of_every_kind(tmp_path):
    _, label = scene()
    for name, content in photographs():
        write_pair(tmp_path / "set", name, content, label)
    assert disagreements(tmp_path / "set") == []
    loaded = load(tmp_path / "set")
    stopped = {name for name, sample in loaded.items() if isinstance(sample, str)}
    assert stopped >= {"text", "empty"}
    assert not stopped & {"progressive", "mpo", "jpeg_L", "jpeg_CMYK", "png_16_grey", "png_RGBA"}
    for name in stopped:
        assert f"images/{name}.jpg: " in loaded[name]


def labels():
    """Label files of other kinds than grey and palette PNGs, by name."""
    _, label = scene()
    for mode in ("1", "LA", "RGB", "RGBA", "P"):
        yield f"png_{mode}", encoded(label, "PNG", mode=mode)
    yield "png_16", encoded(label.astype(np.uint16), "PNG")
    for kind in ("BMP", "TIFF", "GIF"):
        yield kind, encoded(label, kind)
    yield "tiff_turned", encoded(np.ascontiguousarray(label.T), "TIFF", 6)
    yield "tiff_stored", encoded(label, "TIFF", 6)
    yield "webp", encoded(label, "WEBP", mode="RGB", lossless=True)
    yield "text", b"not a picture"
    yield "empty", b""
    yield "unknown_id", encoded(np.full_like(label, 77), "PNG")


def test_labels_of_every_kind(tmp_path):
    image, _ = scene()
    for name, content in labels():
        write_pair(tmp_path / "set", name, image, content)
    assert disagreements(tmp_path / "set") == []
