"""Any pictures whose file names have identity and camera."""

import re
from pathlib import Path
from typing import Any

from ibn_seg.errors import UserError
from ibn_seg.reid.sets.picture_set import MARKET_NAME, NamedPictures, SetCard


class NamedFolder(NamedPictures):
    """One's own pictures in `train`, `query` and `gallery`.

    Names are as in Market-1501, such as `12_c3_anything.jpg`. Others need the option `pattern`, a
    regular expression of their start, with the groups `identity` and `camera`. Identity -1 is junk
    and 0 a distractor.
    """

    FOLDERS = {"train": "train", "query": "query", "gallery": "gallery"}
    OPTIONS = {"pattern": None}
    EXAMPLE = "12_c3_anything.jpg, or give pattern"
    FIRST_CAMERA = 0
    CARD = SetCard(
        title="folder of pictures",
        layout="`train`, `query`, `gallery`: `12_c3_anything.jpg`",
        distractors=True,
    )

    def __init__(self, root: str | Path, **options: Any) -> None:
        pattern = str(options.get("pattern", MARKET_NAME))
        try:
            groups = re.compile(pattern).groupindex
        except re.error as error:
            raise UserError(f"pattern={pattern!r}: {error}") from error
        if not {"identity", "camera"} <= groups.keys():
            raise UserError(
                f"pattern={pattern!r}", "it has to have (?P<identity>) and (?P<camera>)"
            )
        self._pattern = pattern
        super().__init__(root, **options)

    def label(self, path: Path) -> tuple[int, int]:
        """Return identity and camera from the name.

        Raises:
            UserError: The name does not parse, or identity or camera are no whole numbers.
        """
        match = re.match(self._pattern, path.name)
        if match is None:
            raise self.bad_name(path)
        try:
            return int(match["identity"]), int(match["camera"])
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}: identity and camera have to be whole numbers") from error
