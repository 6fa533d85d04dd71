import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from ibn_seg import cli
from ibn_seg.config import load_config
from ibn_seg.errors import EnvError, UserError
from ibn_seg.predict import predict_pictures as module
from ibn_seg.predict import prediction_log
from ibn_seg.predict.predict_pictures import BadPicturesError, predict
from ibn_seg.predict.prediction_log import LOG_NAME
from tests.helpers import truncate, write_image


@pytest.fixture(scope="module")
def checkpoint(trained):
    return trained[0] / "iter_6.pth"


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "in"
    for seed, name in enumerate(("a", "deep/b", "c")):
        write_image(folder / f"{name}.png", picture(seed))
    return folder


@pytest.fixture
def counted(monkeypatch):
    """The shapes of the pictures that networks were given."""
    shapes = []
    call = module.Segmenter.__call__

    def count(self, image):
        shapes.append(image.shape[:2])
        return call(self, image)

    monkeypatch.setattr(module.Segmenter, "__call__", count)
    return shapes


def picture(seed, size=(32, 40)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)


def stored(out, name):
    return np.asarray(Image.open(out / f"{name}_trainIds.png"))


def fail_on(monkeypatch, size, error):
    call = module.Segmenter.__call__

    def run(self, image):
        if image.shape[:2] == size:
            raise error
        return call(self, image)

    monkeypatch.setattr(module.Segmenter, "__call__", run)


def test_a_folder_is_finished_and_the_bad_ones_are_listed_last(
    tiny, checkpoint, source, tmp_path, capfd
):
    truncate(write_image(source / "bad1.png", picture(7)))
    (source / "bad2.jpg").write_text("<html>")
    (source / "bad3.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(90))
    (source / "bad4").symlink_to("nowhere")
    args = [tiny, checkpoint, source, "--out", tmp_path / "out", "--device", "cpu"]
    for _ in range(2):
        assert cli.run(["predict", *map(str, args)]) == 2
        lines = capfd.readouterr().err.splitlines()
        assert [line.partition(": ")[0] for line in lines[-5:-1]] == [
            f"{source}/{name}" for name in ("bad4", "bad1.png", "bad2.jpg", "bad3.heic")
        ]
        assert lines[-1].startswith("error: 4 of 7 pictures could not be predicted")
        assert len(list((tmp_path / "out").rglob("*.png"))) == 6
    assert "skipped 3 pictures that were done" in "\n".join(lines)
    for path in source.glob("bad*"):
        path.unlink()
    assert cli.run(["predict", *map(str, args)]) == 0
    assert f"6 files in {tmp_path}/out" in capfd.readouterr().out


def test_the_error_of_the_function_lists_the_bad_ones(tiny, checkpoint, source, tmp_path):
    (source / "page.jpg").write_text("<html>")
    with pytest.raises(UserError, match=r"page\.jpg: is not a readable picture") as caught:
        predict(tiny, checkpoint, source, tmp_path / "out")
    assert isinstance(caught.value, BadPicturesError)
    assert caught.value.exit_code == 2
    assert len(caught.value.problems) == 1
    assert stored(tmp_path / "out", "deep/b").shape == (32, 40)


def test_what_is_done_is_skipped(tiny, checkpoint, source, tmp_path, counted, capfd):
    out = tmp_path / "out"
    first = predict(tiny, checkpoint, source, out)
    before = {path: path.stat().st_mtime_ns for path in first}
    capfd.readouterr()
    assert predict(tiny, checkpoint, source, out) == first
    assert {path: path.stat().st_mtime_ns for path in first} == before
    assert "skipped 3 pictures that were done" in capfd.readouterr().err
    assert len(counted) == 3
    predict(tiny, checkpoint, source, out, overwrite=True)
    assert len(counted) == 6
    predict(tiny, checkpoint, source / "a.png", out)
    assert len(counted) == 7


def test_results_of_an_earlier_call_in_the_folder_are_no_pictures(
    tiny, checkpoint, source, tmp_path, capfd
):
    first, second = (predict(tiny, checkpoint, source, source / out) for out in ("out1", "out2"))
    assert [path.relative_to(source / "out2") for path in second] == [
        path.relative_to(source / "out1") for path in first
    ]
    said = f"{source}: 6 files are left out: they are results of earlier calls"
    assert capfd.readouterr().err.count(said) == 1
    # What a log does not list is a picture, wherever it lies, and so are links to pictures.
    write_image(source / "out1" / "a_overlay2.png", picture(8))
    (source / "out2" / "link.png").symlink_to(source / "a.png")
    predict(tiny, checkpoint, source, tmp_path / "out3")
    out = tmp_path / "out3"
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*_trainIds.png")) == [
        "a_trainIds.png", "c_trainIds.png", "deep/b_trainIds.png", "out1/a_overlay2_trainIds.png",
        "out2/link_trainIds.png",
    ]  # fmt: skip
    assert f"{source}: 12 files are left out" in capfd.readouterr().err
    with pytest.raises(UserError, match="holds no pictures: its 2 results of earlier calls"):
        predict(tiny, checkpoint, _only_results(source, tmp_path / "only"), tmp_path / "out4")


def _only_results(source, folder):
    """Return a folder with the results of one picture and their log, moved elsewhere."""
    folder.mkdir()
    for name in (LOG_NAME, "a_trainIds.png", "a_overlay.png"):
        (source / "out1" / name).rename(folder / name)
    return folder


def test_results_beside_the_pictures_are_left_out_for_another_folder(
    tiny, checkpoint, source, tmp_path, capfd
):
    predict(tiny, checkpoint, source, source)
    capfd.readouterr()
    assert len(predict(tiny, checkpoint, source, source)) == 6
    assert "left out" not in capfd.readouterr().err
    assert len(predict(tiny, checkpoint, source, tmp_path / "out")) == 6
    assert "6 files are left out" in capfd.readouterr().err


def test_a_run_that_was_interrupted_goes_on(
    tiny, checkpoint, source, tmp_path, counted, monkeypatch
):
    write_image(source / "b.png", picture(5, (33, 41)))
    with monkeypatch.context() as patch:
        fail_on(patch, (33, 41), KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            predict(tiny, checkpoint, source, tmp_path / "out")
    assert len(counted) == 1
    predict(tiny, checkpoint, source, tmp_path / "out")
    assert counted[1:] == [(33, 41), (32, 40), (32, 40)]


SLIDE = {"mode": "slide", "crop_size": (32, 32), "stride": (9, 9)}


def change_picture(source, out):
    """Replace a picture by one of the same size on disk and the same age."""
    path = source / "a.png"
    stat = path.stat()
    Image.fromarray(picture(9)).save(path)
    os.truncate(path, max(stat.st_size, path.stat().st_size))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def change_result(source, out):
    write_image(out / "a_trainIds.png", picture(9))


def remove_result(source, out):
    (out / "a_overlay.png").unlink()


def damage_log(source, out):
    log = out / LOG_NAME
    lines = log.read_text().splitlines()
    log.write_text("\n".join(line[:50] if '"a"' in line else line for line in lines))


@pytest.mark.parametrize("change", [change_picture, change_result, remove_result, damage_log])
def test_results_that_may_be_stale_are_made_again(
    tiny, checkpoint, source, tmp_path, counted, change
):
    out = tmp_path / "out"
    predict(tiny, checkpoint, source, out)
    change(source, out)
    predict(tiny, checkpoint, source, out)
    assert len(counted) == 4
    fresh = predict(tiny, checkpoint, source, tmp_path / "fresh")
    for path in fresh:
        assert path.read_bytes() == (out / path.relative_to(tmp_path / "fresh")).read_bytes()
    predict(tiny, checkpoint, source, out)
    assert len(counted) == 7  # four, and three in the fresh folder


@pytest.mark.parametrize(
    "options",
    [
        {"opacity": 0.9},
        {"cfg_options": {"model.test_cfg": SLIDE}},
        {"cfg_options": {"model.data_preprocessor.mean": [0.0, 0.0, 0.0]}},
        {"fuse": True},
        {},
    ],
    ids=["opacity", "test_cfg", "mean", "fuse", "checkpoint"],
)  # fmt: skip
def test_another_network_or_option_makes_results_again_and_says_so(
    tiny, checkpoint, source, tmp_path, counted, capfd, options
):
    out = tmp_path / "out"
    predict(tiny, checkpoint, source, out)
    write_image(source / "new.png", picture(8))
    (source / "c.png").unlink()
    capfd.readouterr()
    other = checkpoint if options else checkpoint.with_name("iter_4.pth")
    predict(tiny, other, source, out, **options)
    assert len(counted) == 6
    err = capfd.readouterr().err
    assert f"{out}: 2 results are of another network" in err
    assert f"{out}: also holds 1 results of another network" in err
    predict(tiny, other, source, out, **options)
    assert len(counted) == 6


def test_the_place_of_files_does_not_count(tiny, checkpoint, source, tmp_path, counted):
    predict(tiny, checkpoint, source, tmp_path / "out")
    source.rename(tmp_path / "moved")
    (tmp_path / "out").rename(tmp_path / "results")
    os.utime(tmp_path / "moved" / "a.png")
    predict(load_config(tiny), checkpoint, tmp_path / "moved", tmp_path / "results", device="cpu")
    assert len(counted) == 3


def test_results_of_a_picture_from_elsewhere_are_not_replaced_without_a_word(
    tiny, checkpoint, source, tmp_path, counted
):
    out, other = tmp_path / "out", tmp_path / "other"
    predict(tiny, checkpoint, source, out)
    before = stored(out, "a")
    write_image(other / "a.png", picture(20))
    write_image(other / "z.png", picture(21))
    with pytest.raises(UserError, match=r"other/a\.png: .*out/a has the results of .*in/a\.png"):
        predict(tiny, checkpoint, other, out)
    assert np.array_equal(stored(out, "a"), before)
    assert stored(out, "z").shape == (32, 40)
    with pytest.raises(UserError, match="choose another --out, or give --overwrite"):
        predict(tiny, checkpoint, other / "a.png", out)
    predict(tiny, checkpoint, other / "a.png", out, overwrite=True)
    assert np.array_equal(stored(out, "a"), stored_alone(tiny, checkpoint, other, tmp_path))
    # The first folder's picture has lost its results: that is said, and not skipped.
    with pytest.raises(UserError, match=r"in/a\.png: "):
        predict(tiny, checkpoint, source, out)


def stored_alone(tiny, checkpoint, folder, tmp_path):
    predict(tiny, checkpoint, folder / "a.png", tmp_path / "alone")
    return stored(tmp_path / "alone", "a")


def test_results_beside_the_pictures_are_no_pictures(tiny, checkpoint, source, counted):
    (source.parent / "link").symlink_to(source)
    for given in (source, source.parent / "link", source):
        assert len(predict(tiny, checkpoint, given, source)) == 6
    assert len(counted) == 3


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
    ],
)
def test_a_picture_that_needs_too_much_memory_is_one_line(
    tiny, checkpoint, source, tmp_path, monkeypatch, error
):
    write_image(source / "big.png", picture(3, (70, 80)))
    fail_on(monkeypatch, (70, 80), error)
    with pytest.raises(BadPicturesError) as caught:
        predict(tiny, checkpoint, source, tmp_path / "out")
    (problem,) = caught.value.problems
    assert problem == (
        f"{source}/big.png: a picture of 80x70 pixels needs more memory than is free: "
        "make it smaller or cut it into parts"
    )
    assert len(list((tmp_path / "out").rglob("*.png"))) == 6
    with pytest.raises(UserError, match="needs more memory than is free"):
        predict(tiny, checkpoint, source / "big.png", tmp_path / "out")


def test_a_bug_is_not_blamed_on_the_picture(tiny, checkpoint, source, tmp_path, monkeypatch):
    write_image(source / "big.png", picture(3, (70, 80)))
    fail_on(monkeypatch, (70, 80), RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        predict(tiny, checkpoint, source, tmp_path / "out")


def test_a_full_disk_stops_a_folder_at_once(tiny, checkpoint, source, tmp_path, monkeypatch):
    def full(path, data):
        raise EnvError(f"{path}: cannot be written (No space left on device)")

    monkeypatch.setattr(module, "write_bytes", full)
    with pytest.raises(EnvError, match=r"a_trainIds\.png: cannot be written") as caught:
        predict(tiny, checkpoint, source, tmp_path / "out")
    assert caught.value.exit_code == 3


def test_a_log_that_cannot_be_written_stops_too(tiny, checkpoint, source, tmp_path):
    (tmp_path / "out" / LOG_NAME).mkdir(parents=True)
    with pytest.raises(EnvError, match=LOG_NAME):
        predict(tiny, checkpoint, source, tmp_path / "out")


def test_a_name_that_is_too_long_is_the_pictures_fault(tiny, checkpoint, source, tmp_path):
    write_image(source / f"{'n' * 245}.png", picture(1))
    with pytest.raises(BadPicturesError, match="the names of its results are too long"):
        predict(tiny, checkpoint, source, tmp_path / "out")
    assert stored(tmp_path / "out", "c").shape == (32, 40)


@pytest.mark.parametrize("name", ["ä ü.png", "dots.v1.2.png", "100%d.png", "[red]x.png"])
def test_names_are_kept(tiny, checkpoint, tmp_path, name):
    write_image(tmp_path / "in" / name, picture(1))
    written = predict(tiny, checkpoint, tmp_path / "in", tmp_path / "out")
    assert written[0].name == f"{name.removesuffix('.png')}_trainIds.png"
    assert written[0].is_file()


def test_a_name_that_is_no_text(tiny, checkpoint, tmp_path, counted):
    source = tmp_path / "in"
    write_image(source / "a.png", picture(1)).rename(source / os.fsdecode(b"\xff.png"))
    for _ in range(2):
        assert len(predict(tiny, checkpoint, source, tmp_path / "out")) == 2
    assert len(counted) == 1


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 50)])
@pytest.mark.parametrize("ibn", ["a", None])
def test_tiny_pictures(tiny, checkpoint, tmp_path, size, ibn, plain_checkpoint):
    write_image(tmp_path / "in" / "dot.png", picture(1, size))
    options = {"model.backbone.ibn": ibn, "model.data_preprocessor.size": size}
    weights = checkpoint if ibn else plain_checkpoint
    written = predict(tiny, weights, tmp_path / "in", tmp_path / "out", cfg_options=options)
    assert np.asarray(Image.open(written[0])).shape == size


@pytest.fixture(scope="module")
def plain_checkpoint(tiny, tmp_path_factory):
    """Weights of the same network with batch norm alone."""
    from mmseg.registry import MODELS

    from ibn_seg.run.setup import register

    register()
    cfg = load_config(tiny, {"model.backbone.ibn": None})
    path = tmp_path_factory.mktemp("plain") / "plain.pth"
    torch.save({"state_dict": MODELS.build(cfg.model).state_dict()}, path)
    return path


def test_a_size_that_the_network_cannot_take_is_one_line(
    tiny, checkpoint, source, tmp_path, monkeypatch
):
    write_image(source / "dot.png", picture(1, (1, 1)))
    fail_on(monkeypatch, (1, 1), ValueError("Expected more than 1 spatial element"))
    with pytest.raises(BadPicturesError, match="the network cannot take a picture of 1x1 pixels"):
        predict(tiny, checkpoint, source, tmp_path / "out")


def test_every_line_of_the_log_is_whole_json(tiny, checkpoint, source, tmp_path):
    out = tmp_path / "out"
    predict(tiny, checkpoint, source / "a.png", out)
    with (out / LOG_NAME).open("a") as file:
        file.write('{"name": "torn')
    predict(tiny, checkpoint, source / "c.png", out)
    lines = (out / LOG_NAME).read_text().splitlines()
    assert [json.loads(line)["name"] for line in (lines[0], lines[2])] == ["a", "c"]
    log = prediction_log.PredictionLog(out)
    assert {path.name for path in log.results()} == {
        f"{name}_{kind}.png" for name in "ac" for kind in ("trainIds", "overlay")
    }
