"""Frames with unknown things: void with a mask of their own, of an allowed size, of ten shapes."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from ibn_seg.datasets.labels import CITYSCAPES_RAW_IDS
from ibn_seg.errors import UserError
from ibn_seg.scenes import render, write_pair
from ibn_seg.scenes.frames import ODDITIES_START
from ibn_seg.scenes.ids import DYNAMIC
from ibn_seg.scenes.layout import lay_out
from ibn_seg.scenes.oddities import LEAST, MOST, SHAPES, with_oddities
from ibn_seg.scenes.scene import Scene


def test_every_frame_has_unknown_things_of_an_allowed_size():
    shares = [
        (render("oddities", ODDITIES_START + at, seed=1)[1] == DYNAMIC).mean() for at in range(100)
    ]
    assert min(shares) >= LEAST == 0.005
    assert max(shares) <= MOST == 0.05


def test_nothing_else_has_their_label_and_the_rest_of_the_scene_stays():
    index = ODDITIES_START + 1
    assert not (render("source", index)[1] == DYNAMIC).any()
    _, odd = render("oddities", index)
    _, plain = render("source", index)
    assert np.array_equal(odd[odd != DYNAMIC], plain[odd != DYNAMIC])
    assert CITYSCAPES_RAW_IDS.train_ids[DYNAMIC] == 255


def test_all_shapes_occur_and_lie_on_the_road():
    seen = set()
    for at in range(100):
        scene: Scene = lay_out(0, ODDITIES_START + at)
        odd = with_oddities(scene, 0)
        assert dataclasses.replace(odd, items=scene.items) == scene
        things = odd.items[len(scene.items) :]
        seen |= {item.options["shape"] for item in things}
        reach = min(side.curb for side in scene.sides)
        assert all(abs(item.x) < reach for item in things)
    assert seen == set(SHAPES)
    assert len(SHAPES) == 10


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_has_two_colours_that_no_scene_has(name):
    from ibn_seg.scenes.canvas import Camera, Canvas, Light
    from ibn_seg.scenes.oddities import draw_oddity
    from ibn_seg.scenes.scene import Item

    camera = Camera(width=128, height=96, focal=120, cx=64, cy=30, eye=1.4, x=0.0, bend=0.0)
    canvas = Canvas(camera, Light((0.0, 1.0, 0.0), (0.3,) * 3, (0.7,) * 3))
    draw_oddity(canvas, Item("oddity", 0.0, 4.0, "key", height=1.6, options={"shape": name}))
    mine = canvas.image[canvas.label == DYNAMIC][:, :3]
    assert len(mine) > 100
    _, counts = np.unique(mine, axis=0, return_counts=True)
    assert (counts > 15).sum() >= 2


def test_the_folder_has_pictures_labels_and_masks(tmp_path):
    counts = write_pair(
        tmp_path, size=(64, 32), source_frames=0, target_train=0, target_val=0, oddities=2
    )
    assert counts["oddities"] == counts["written"] == 2
    for number in range(2):
        image, label, mask = (
            np.array(Image.open(tmp_path / "oddities" / kind / f"{number:06}.png"))
            for kind in ("images", "labels", "masks")
        )
        drawn, raw = render("oddities", ODDITIES_START + number, size=(64, 32))
        assert np.array_equal(image, drawn)
        assert np.array_equal(label, CITYSCAPES_RAW_IDS.train_ids[raw])
        assert np.array_equal(mask == 1, raw == DYNAMIC)
        assert np.array_equal(mask == 0, label != 255)


def test_they_join_a_folder_that_was_written_without_them(tmp_path):
    few = {"size": (64, 32), "source_frames": 1, "target_train": 0, "target_val": 0}
    write_pair(tmp_path, **few)
    assert write_pair(tmp_path, **few, oddities=1)["written"] == 1
    assert write_pair(tmp_path, **few)["written"] == 0
    with pytest.raises(UserError, match="oddities 1 instead of 2"):
        write_pair(tmp_path, **few, oddities=2)
