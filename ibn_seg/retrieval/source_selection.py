"""Selects the checkpoint of a training that finds most in the source's own gallery."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ibn_seg.errors import UserError
from ibn_seg.io import atomic_path
from ibn_seg.retrieval.run_retrieval import Searcher, searched

if TYPE_CHECKING:
    from ibn_seg.reid.sets.picture_set import PictureSet

_NAME = re.compile(r"iter_(\d+)\.pth")


def selecting(homes: Sequence["PictureSet"]) -> list["PictureSet"]:
    """Return the data sets whose galleries select a checkpoint.

    Args:
        homes: The data sets that are trained on.

    Raises:
        UserError: None has queries and a gallery.
    """
    able = [one for one in homes if one.has_search]
    if not able:
        raise UserError(f"{homes[0].root}: has no gallery to select by", "use --selection last")
    return able


def best_on_source(
    searcher: Searcher, work_dir: Path, homes: Sequence["PictureSet"]
) -> tuple[str, dict[str, float]]:
    """Return the file of the best checkpoint, and the mAP of each by its iteration, percent.

    The best has the highest mean mAP over the galleries of the sources, the first of equals. No
    target is looked at. It is copied to `best_iter_N.pth`.

    Args:
        searcher: How features are computed; its checkpoint is replaced.
        work_dir: The folder of the training, with its checkpoints.
        homes: The data sets that were trained on.

    Raises:
        UserError: No source has queries and a gallery.
    """
    able = selecting(homes)
    files = {int(found[1]): path for path in work_dir.glob("iter_*.pth")
             if (found := _NAME.fullmatch(path.name))}  # fmt: skip
    scores = {}
    for iteration, path in sorted(files.items()):
        one = replace(searcher, checkpoint=str(path))
        found = [searched(one, data, work_dir / "ranks_selection.npz") for data in able]
        values = [each["scores"]["measures"]["mAP"]["value"] for each in found]
        scores[iteration] = sum(values) / len(values)
    (work_dir / "ranks_selection.npz").unlink()
    best = max(scores, key=scores.__getitem__)
    kept = work_dir / f"best_iter_{best}.pth"
    with atomic_path(kept) as temporary:
        shutil.copyfile(files[best], temporary)
    return str(kept), {str(iteration): value for iteration, value in scores.items()}
