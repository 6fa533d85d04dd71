"""Write predictions of a test run as trainId PNGs, for evaluation by other programs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ibn_seg.datasets.class_colors import ClassColors, class_colors
from ibn_seg.engine.class_checks import classes_of
from ibn_seg.engine.pixel_confidence import check_gives_logits, confidence_levels
from ibn_seg.engine.record import RunRecordHook
from ibn_seg.engine.sampling import members
from ibn_seg.errors import EnvError, UserError
from ibn_seg.evaluation.stored import image_names
from ibn_seg.io import write_bytes
from ibn_seg.trust.confidence_files import CONFIDENCE, HEAT, PREDICTION, heat_map, paired_name


def encode_png(image: np.ndarray) -> bytes:
    """Return an image as a PNG file: H x W grey of 8 or 16 bits, or H x W x 3 in BGR order."""
    import cv2

    done, data = cv2.imencode(".png", image)
    if not done:
        raise EnvError("OpenCV cannot write PNG files", "install opencv-python-headless again")
    return data.tobytes()


def images_of(dataset: Any, domain: str = "") -> dict[str, str]:
    """Return the images of a domain: their paths below the folder of their data set, by file.

    Data sets that do not name their files are left out.

    Args:
        dataset: Data sets below wrappers and concatenations.
        domain: The domain; '' for the images of all.
    """
    found: dict[str, str] = {}
    for member in members(dataset):
        if not hasattr(member, "get_data_info"):
            continue
        infos = [member.get_data_info(index) for index in range(len(member))]
        files = [info["img_path"] for info in infos if domain in ("", info.get("target"))]
        folder = _image_folder(member)
        names = image_names(files, [] if folder is None else [folder])
        found.update(zip(files, names, strict=True))
    return found


def prediction_names(images: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the possible names of each image's prediction, below its domain's folder.

    The first one is written and all are read. It is X.png if the domain has one image X, else
    D/X.png, where D is the image's folder. If D has X.jpg and X.png, it is D/X.jpg.png. With one
    image X, D/X.png is read as well.

    Args:
        images: Path of each image below the folder of its data set, by file, as from `images_of`.

    Raises:
        UserError: Two data sets of the domain have images with the same path.
    """
    spellings = {file: _spellings(PurePath(path)) for file, path in images.items()}
    levels = dict.fromkeys(images, 0)
    while clashing := _clashing(spellings, levels):
        # The longest names differ within a data set.
        longer = [file for file in clashing if levels[file] < len(spellings[file]) - 1]
        if not longer:
            name = spellings[clashing[0]][-1]
            other = next(file for file in clashing[1:] if spellings[file][-1] == name)
            raise UserError(
                f"{clashing[0]} and {other}: both predictions would be {name}",
                "give each data set a name of its own by target='NAME'",
            )
        for file in longer:
            levels[file] += 1
    written = {spellings[file][level]: file for file, level in levels.items()}
    names = {}
    for file, level in levels.items():
        also = [name for name in spellings[file][1:2] if level == 0 and name not in written]
        names[file] = (spellings[file][level], *also)
    return names


@HOOKS.register_module()
class SavePredictionsHook(Hook):
    """Write each prediction of a test as 8-bit grey trainIds, `OUT/DOMAIN/NAME.png`.

    NAME is the image's name, with its folder if the domain has two images of the name
    (`prediction_names`). `OUT/classes.yaml` says what the values mean, if the classes are known.

    Args:
        out_dir: The folder.
        confidence: In place of NAME.png, write `NAME_pred.png`, `NAME_conf.png` and
            `NAME_heat.png`; see `ibn_seg.trust.confidence_files`.
        temperatures: For each predicted class the number by which a pixel's logits are divided.

    Raises:
        UserError: (in a test) Confidence is wanted, and the network gives no logits.
    """

    def __init__(
        self, out_dir: str, confidence: bool = False, temperatures: Sequence[float] | None = None
    ) -> None:
        self._temperatures = temperatures
        self.out_dir = Path(out_dir)
        self.needs_logits = confidence
        self._names: dict[str, dict[str, tuple[str, ...]]] = {}

    def before_test(self, runner: Runner) -> None:
        """Forget the names of an earlier test, which may have used other data."""
        self._names.clear()
        if self.needs_logits:
            model = runner.model
            check_gives_logits(model.module if is_model_wrapper(model) else model)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence = ()
    ) -> None:
        """Write the predictions of a batch, and with the first one what their values mean."""
        if not self._names and is_main_process() and (classes := predicted_classes(runner)):
            classes.write(self.out_dir)
        for sample in outputs:
            labels = sample.pred_sem_seg.data.squeeze(0).cpu().numpy().astype(np.uint8)
            domain = str(sample.get("target", ""))
            if domain not in self._names:
                images = images_of(runner.test_loop.dataloader.dataset, domain)
                self._names[domain] = prediction_names(images)
            unknown = (f"{Path(sample.img_path).stem}.png",)
            name, *_ = self._names[domain].get(sample.img_path, unknown)
            for file, image in self._pictures(name, labels, sample).items():
                write_bytes(self.out_dir / domain / file, encode_png(image))

    def _pictures(self, name: str, labels: np.ndarray, sample: Any) -> dict[str, np.ndarray]:
        """Return the pictures of a prediction by their names."""
        if not self.needs_logits:
            return {name: labels}
        levels = confidence_levels(sample.seg_logits.data, self._temperatures)
        kinds = {PREDICTION: labels, CONFIDENCE: levels, HEAT: heat_map(levels)}
        return {paired_name(name, kind): image for kind, image in kinds.items()}


def predicted_classes(runner: Runner) -> ClassColors | None:
    """Return the network's classes in a test, in the colours of the weights if they have some.

    Args:
        runner: The runner, with its test loop built.

    Returns:
        None if they are not known.
    """
    metrics = runner.test_evaluator.metrics
    known = (metric.network_classes for metric in metrics if hasattr(metric, "network_classes"))
    names = next(known, None) or classes_of(runner.test_loop.dataloader.dataset)
    palettes = (hook.trained_palette for hook in runner.hooks if isinstance(hook, RunRecordHook))
    return class_colors(names, next(palettes, None)) if names else None


def _image_folder(dataset: Any) -> str | None:
    """Return the folder of a data set's images, for our data sets and mmseg's."""
    folder = getattr(dataset, "image_folder", None)
    if folder is None:
        folder = (getattr(dataset, "data_prefix", None) or {}).get("img_path")
    return str(folder) if folder else None


def _spellings(path: PurePath) -> tuple[str, str, str]:
    """Return the names of a prediction, from the shortest to one that is always unique."""
    name = f"{path.stem}.png"
    return name, (path.parent / name).as_posix(), f"{path.as_posix()}.png"


def _clashing(spellings: Mapping[str, Sequence[str]], levels: Mapping[str, int]) -> list[str]:
    """Return the images that share their name with others."""
    counts = Counter(spellings[file][level] for file, level in levels.items())
    return [file for file, level in levels.items() if counts[spellings[file][level]] > 1]
