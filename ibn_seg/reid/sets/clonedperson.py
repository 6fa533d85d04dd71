"""ClonedPerson (Wang et al., CVPR 2022): synthetic people in outfits of photographs."""

from ibn_seg.reid.sets.picture_set import SetCard
from ibn_seg.reid.sets.scene_cameras import SceneCameras

# The first camera of each scene, from 0: dataloader/clonedperson.py of the authors' repository.
# Scenes of equal numbers here do not occur together: six scenes have four cameras each.
_SCENES = (0, 0, 0, 4, 4, 8, 12, 12, 12, 12, 16, 16, 20)


class ClonedPerson(SceneCameras):
    """ClonedPerson as unpacked.

    Its authors' reader puts the cameras of all scenes onto those of scene 2 (`scene = 2`). Here
    each scene keeps its own, as their table of scenes means it.
    """

    FOLDERS = {"train": "train", "query": "test/query", "gallery": "test/gallery"}
    INNER = ("ClonedPerson", "clonedperson")
    PATTERN = r"(?P<identity>-?\d+)_s(?P<scene>\d+)_c(?P<camera>\d+)_f"
    EXAMPLE = "700000_s02_c00_f023389.jpg"
    FIRST_CAMERA = 0
    FIRST_OF_SCENE = _SCENES
    CARD = SetCard(
        title="ClonedPerson",
        cameras=24,
        layout="`train`, `test/query`, `test/gallery`: `700000_s02_c00_f023389.jpg`",
        source="https://github.com/Yanan-Wang-cs/ClonedPerson",
        citation="Wang et al., Cloning Outfits from Real-World Images to 3D Characters, CVPR 2022",
    )
