"""Selects the checkpoint of a training that finds most in the source's own gallery."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ibn_seg.errors import UserError
from ibn_seg.io import atomic_path
from ibn_seg.retrieval.run_retrieval import Searcher, searched

if TYPE_CHECKING:
    from ibn_seg.reid.sets.picture_set import PictureSet


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


def candidates(work_dir: Path, interval: int, last: int) -> dict[int, Path]:
    """Return the checkpoints of a training by iteration.

    The folder may hold others too, of a longer training that this one replaced.

    Args:
        work_dir: The folder of the training.
        interval: Iterations between two checkpoints.
        last: Iterations of the training.

    Raises:
        UserError: One is gone.
    """
    steps = dict.fromkeys((*range(interval, last + 1, interval), last))
    files = {step: work_dir / f"iter_{step}.pth" for step in steps}
    for path in files.values():
        if not path.is_file():
            raise UserError(
                f"{path}: is gone, so the best checkpoint cannot be told",
                "train again, without --resume",
            )
    return files


def best_on_source(
    searcher: Searcher, files: Mapping[int, Path], homes: Sequence["PictureSet"]
) -> tuple[str, dict[str, float]]:
    """Return the file of the best checkpoint, and the mAP of each by its iteration, percent.

    The best has the highest mean mAP over the galleries of the sources, the first of equals. No
    target is looked at. It is copied to `best_iter_N.pth`.

    Args:
        searcher: How features are computed; its checkpoint is replaced.
        files: The checkpoints by iteration, in one folder.
        homes: The data sets that were trained on.

    Raises:
        UserError: No source has queries and a gallery.
    """
    able = selecting(homes)
    work_dir = next(iter(files.values())).parent
    ranks = work_dir / "ranks_selection.npz"
    scores = {}
    for iteration, path in files.items():
        one = replace(searcher, checkpoint=str(path))
        found = [searched(one, data, ranks) for data in able]
        values = [each["scores"]["measures"]["mAP"]["value"] for each in found]
        scores[iteration] = sum(values) / len(values)
    ranks.unlink()
    best = max(scores, key=scores.__getitem__)
    kept = work_dir / f"best_iter_{best}.pth"
    with atomic_path(kept) as temporary:
        shutil.copyfile(files[best], temporary)
    return str(kept), {str(iteration): value for iteration, value in scores.items()}
