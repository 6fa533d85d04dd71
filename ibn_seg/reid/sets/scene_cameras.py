"""Rendered people whose file names count the cameras of each scene from 0."""

import re
from pathlib import Path
from typing import ClassVar

from ibn_seg.reid.sets.picture_set import NamedPictures


class SceneCameras(NamedPictures):
    """Pictures whose names hold an identity, a scene and a camera in that scene.

    A subclass gives the first camera of each scene. Its `PATTERN` has the groups `identity`,
    `scene` and `camera`.
    """

    FIRST_OF_SCENE: ClassVar[tuple[int, ...]]

    def label(self, path: Path) -> tuple[int, int]:
        """Return identity and camera: the scene's first camera plus the camera in the scene.

        Raises:
            UserError: The name does not parse, or there is no such scene.
        """
        match = re.match(self.PATTERN, path.name)
        if match is None or int(match["scene"]) >= len(self.FIRST_OF_SCENE):
            raise self.bad_name(path)
        camera = self.FIRST_OF_SCENE[int(match["scene"])] + int(match["camera"])
        self.check_camera(path, camera)
        return int(match["identity"]), camera
