"""RandPerson (Wang et al., ACM MM 2020): synthetic people, for training."""

from ibn_seg.reid.sets.picture_set import Expected, SetCard
from ibn_seg.reid.sets.scene_cameras import SceneCameras

# The first camera of each scene, from 0: https://github.com/VideoObjectSearch/RandPerson.
_SCENES = (0, 2, 4, 6, 8, 9, 10, 12, 13, 14, 15)


class RandPerson(SceneCameras):
    """RandPerson's subset, the 132,145 pictures that papers train with."""

    FOLDERS = {"train": "subset"}
    INNER = ("RandPerson", "randperson")
    PATTERN = r"(?P<identity>\d+)_s(?P<scene>\d+)_c(?P<camera>\d+)_"
    EXAMPLE = "000000_s00_c00_f000264.jpg"
    FIRST_CAMERA = 0
    FIRST_OF_SCENE = _SCENES
    CARD = SetCard(
        title="RandPerson",
        expected={"train": Expected(132145, 8000)},
        cameras=19,
        layout="`subset`: `000000_s00_c00_f000264.jpg`",
        source="https://github.com/VideoObjectSearch/RandPerson",
        citation="Wang et al., Surpassing Real-World Source Training Data, ACM MM 2020",
    )
