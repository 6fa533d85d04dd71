"""Pictures of the results folder that the page shows whole: where methods disagree most."""

import base64
import struct
from pathlib import Path
from typing import Any

from ibn_seg.report.leaderboard.read import Board

FOLDER = "panels"
_START = b"\x89PNG\r\n\x1a\n"


def pictures_of(board: Board) -> tuple[dict[str, Any], ...]:
    """Return the PNG files in each benchmark's folder `panels`, by name, for the page.

    A file that is no whole PNG is left out.
    """
    files = [path for folder in board.heads for path in sorted((folder / FOLDER).glob("*.png"))]
    return tuple(picture for path in files if (picture := _picture(path)) is not None)


def _picture(path: Path) -> dict[str, Any] | None:
    data = path.read_bytes()
    if not data.startswith(_START) or not data.rstrip(b"\0").endswith(b"IEND\xaeB`\x82"):
        return None
    # The header follows the signature: length, 'IHDR', width, height.
    width, height = struct.unpack(">II", data[16:24])
    uri = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
    caption = path.stem.replace("_", " ")
    return {"caption": caption, "uri": uri, "width": width, "height": height}
