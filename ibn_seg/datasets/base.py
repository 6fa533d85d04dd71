"""The common parts of all urban-scene data sets: pairing, label tables, and domain names."""

import abc
import dataclasses
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from mmengine.dataset import BaseDataset, ConcatDataset
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ibn_seg.datasets.cache import FrameCache
from ibn_seg.datasets.card import DataCard
from ibn_seg.datasets.formats import check_image_file, explained_decoding
from ibn_seg.datasets.labels import CLASSES, IGNORE_INDEX, PALETTE, LabelTable
from ibn_seg.datasets.listing import find_spellings, is_folder
from ibn_seg.datasets.subset import check_share, subset
from ibn_seg.errors import UserError, unknown

EXCLUDE_FILE = "ibn_seg_exclude.txt"


class UrbanSceneDataset(BaseSegDataset, abc.ABC):
    """Base of the data sets with the 19 Cityscapes classes that read raw downloads.

    A subclass names its domain (`TARGET`), the environment variable of its root (`ROOT_VARIABLE`)
    and its splits (`SPLITS`, the default first). `UNUSABLE` has the keys of files known to be
    unusable. `list_images` and `list_labels` return images and labels by a common key; `table` must
    be set by then. Every image must have a label and every label an image. A class in the table
    `all_datasets` also has a `CARD` with what is known of the data set.

    Each sample's info has `target`, by which the metric tells domains apart. It also has
    `label_table`, with which `LoadUrbanLabels` maps a file's values to trainIds. `label_map` is the
    same for mmseg's own `LoadAnnotations`, which is slower and does not check values and sizes.

    Args:
        data_root: The folder of the download; `~` is expanded.
        split: One of `SPLITS`. Default: the first.
        target: The domain's short name in every result. Defaults to the class's `TARGET`.
        exclude: A text file with the files to leave out, one per line, relative to the root. An
            excluded image takes its label with it. Default: `ibn_seg_exclude.txt` in the root, if
            there is one; `ibn-seg data check --fix list` writes it.
        share: The part of the split to train on, in (0, 1]. It is a random subset (`subset`) of the
            images that remain after `exclude`: the nearest whole number, at least one. With the
            same `share_seed`, a larger share contains every smaller one.
        share_seed: The seed of that choice, 0 or more.
        pipeline: Transforms of each sample, as in mmseg.
        metainfo: As in mmseg; `classes` may select a subset, other classes become ignored.
        indices: As in mmseg, a number of samples or a list of indices.
        test_mode: As in mmseg.
        serialize_data: As in mmseg.
        lazy_init: As in mmseg; put off listing and checking the files until first use.
        max_refetch: As in mmseg.
        cache_dir: A folder for decoded frames. `LoadRandomCrop` in the pipeline reads and fills it,
            and data sets may share one. `ibn-seg cache` fills it beforehand.
        cache_codec: How they are stored; see `FrameCache`.

    Raises:
        EnvError: The package of `cache_codec` is missing.
        UserError: `split` or `share` is not allowed, the root or a folder is missing, or there is
            no image. Or an image has no label, a label no image, the name is not usable, or nothing
            reads `cache_dir`.
    """

    METAINFO = dict(classes=CLASSES, palette=[list(color) for color in PALETTE])
    TARGET = ""
    ROOT_VARIABLE = ""
    SPLITS: Collection[str] = ()
    UNUSABLE: frozenset[str] = frozenset()
    CARD: ClassVar[DataCard]
    table: LabelTable

    def __init__(
        self,
        data_root: str | os.PathLike,
        split: str | None = None,
        *,
        target: str | None = None,
        exclude: str | os.PathLike | None = None,
        share: float = 1.0,
        share_seed: int = 0,
        pipeline: Sequence[dict | Callable] = (),
        metainfo: Mapping[str, Any] | None = None,
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        serialize_data: bool = True,
        lazy_init: bool = False,
        max_refetch: int = 1000,
        cache_dir: str | os.PathLike | None = None,
        cache_codec: str = "zstd",
    ) -> None:
        if split is not None and split not in self.SPLITS:
            raise unknown(f"split of {type(self).__name__}", split, self.SPLITS)
        self.split = split or next(iter(self.SPLITS), None)
        self.target = target or self.TARGET
        # The name is part of metric keys and file names; "targets" is the mean over domains.
        if not re.fullmatch(r"[\w.-]+", self.target) or self.target == "targets":
            raise UserError(
                f"{type(self).__name__}: target {self.target!r} cannot name a domain",
                "use letters, digits, '.', '_' and '-', but not 'targets'",
            )
        check_share(share, share_seed, type(self).__name__)
        if share < 1 and test_mode:
            raise UserError(
                f"{type(self).__name__}: share={share!r} with test_mode",
                "a share is for training; evaluate on the whole split",
            )
        self.exclude, self.share, self.share_seed = exclude, share, share_seed
        self.cache = FrameCache(cache_dir, cache_codec) if cache_dir else None
        super().__init__(
            data_root=os.path.expanduser(data_root),
            # Paths come from the listing, not from mmseg's join of prefixes and suffixes.
            data_prefix={},
            pipeline=list(pipeline),
            metainfo=metainfo,
            indices=indices,
            test_mode=test_mode,
            serialize_data=serialize_data,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
            ignore_index=IGNORE_INDEX,
        )
        self._check_files = not any(
            getattr(step, "checks_files", False) for step in self.pipeline.transforms
        )
        if self.cache and pipeline and self._check_files:
            raise UserError(
                f"{type(self).__name__}: cache_dir is set, and nothing in the pipeline reads it",
                "begin the pipeline with LoadRandomCrop, or leave cache_dir out",
            )

    @abc.abstractmethod
    def list_images(self) -> dict[str, Path]:
        """Return the image files by key, in the data set's order."""

    @abc.abstractmethod
    def list_labels(self) -> dict[str, Path]:
        """Return the label files by the same keys."""

    def select(self, keys: Sequence[str]) -> Sequence[str]:
        """Return the keys that belong to the data set, among all paired keys."""
        return keys

    def load_data_list(self) -> list[dict]:
        """Return one info per sample, in the order of `list_images`."""
        if not is_folder(self.data_root):
            raise UserError(
                f"{type(self).__name__}: data root {str(self.data_root)!r} does not exist",
                f"put the download there, link it there, or set {self.ROOT_VARIABLE} to where it "
                "is (data/README.md); `ibn-seg scenes` renders data to try things on",
            )
        images, labels = self.list_pairs()
        _check_partners(images, labels, "image", "label")
        _check_partners(labels, images, "label", "image")
        keys = self.select(list(images))
        if self.share < 1:
            keys = subset(keys, self.share, self.share_seed)
        return [
            {
                "img_path": str(images[key]),
                "seg_map_path": str(labels[key]),
                "target": self.target,
                "reduce_zero_label": False,
                "seg_fields": [],
                **self.more_info(key),
            }
            for key in keys
        ]

    def list_pairs(self) -> tuple[dict[str, Path], dict[str, Path]]:
        """Return images and labels by key, without those that are known or listed as unusable."""
        images, labels = self.list_images(), self.list_labels()
        for key in self.UNUSABLE | self.listed_keys(images, labels):
            images.pop(key, None)
            labels.pop(key, None)
        return images, labels

    def listed_keys(self, *files: Mapping[str, Path]) -> set[str]:
        """Return the keys of the files in the exclude list."""
        listed = read_exclude_list(self.data_root, self.exclude)
        return {key for group in files for key, path in group.items() if path in listed}

    @property
    def image_folder(self) -> Path | None:
        """The folder of the split's images, below which predictions are named.

        None if a data set does not say; then it is the deepest folder that holds them all.
        """
        return None

    def split_of(self, key: str) -> str:
        """Return the split that a sample belongs to if one folder holds several, or ''."""
        return ""

    def more_info(self, key: str) -> dict[str, Any]:
        """Return further entries of a sample's info."""
        return {}

    def get_data_info(self, idx: int) -> dict:
        """Return the info of one sample; the tables are shared, not stored per sample."""
        info = super().get_data_info(idx)
        info["label_table"], info["label_map"] = self._tables
        if self.cache is not None:
            info["frame_cache"] = self.cache
        return info

    def full_init(self) -> None:
        """List and check the files, then build the mapping to the data set's classes."""
        super().full_init()
        self._tables = self._compose_tables()

    def prepare_data(self, idx: int, **wishes: Any) -> Any:
        """Return one sample through the pipeline, after checking that its files are whole.

        Args:
            idx: The sample.
            **wishes: Requests for the crop, for `LoadRandomCrop`.

        Raises:
            UserError: A file is missing, truncated or damaged, or nothing uses the requests.
        """
        info = {**self.get_data_info(idx), **wishes}
        if wishes and self._check_files:
            raise UserError(
                f"{type(self).__name__}: the sampler wishes for crops, and the pipeline ignores it",
                "begin the pipeline with LoadRandomCrop",
            )
        if self._check_files:
            check_image_file(info["img_path"])
            check_image_file(info["seg_map_path"])
        with explained_decoding(info["img_path"]):
            return self.pipeline(info)

    def _compose_tables(self) -> tuple[LabelTable, dict[int, int]]:
        """Return the mapping from file values to classes, in our form and in mmseg's."""
        train_ids = self.table.train_ids
        if self.label_map is not None:
            train_ids = train_ids.copy()
            for old, new in self.label_map.items():
                train_ids[self.table.train_ids == old] = new
            train_ids.setflags(write=False)
        table = dataclasses.replace(self.table, train_ids=train_ids)
        return table, {value: int(new) for value, new in enumerate(train_ids)}


@DATASETS.register_module()
class MultiDomainDataset(ConcatDataset):
    """Several domains in one dataloader, each told apart by its own data-set object.

    Args:
        datasets: Data sets, or their configs.
        pipeline: The pipeline for configs that give none. mmseg's inferencers read the pipeline for
            single pictures here.
        lazy_init: As in `mmengine.dataset.ConcatDataset`.
        ignore_keys: As in `mmengine.dataset.ConcatDataset`.

    Raises:
        UserError: Two data sets have the same domain name, so their scores would be pooled.
    """

    def __init__(
        self,
        datasets: Sequence[BaseDataset | dict],
        pipeline: Sequence[dict | Callable] | None = None,
        lazy_init: bool = False,
        ignore_keys: str | list[str] | None = None,
    ) -> None:
        shared = {} if pipeline is None else {"pipeline": pipeline}
        built = [
            DATASETS.build({**shared, **dataset}) if isinstance(dataset, dict) else dataset
            for dataset in datasets
        ]
        names = [getattr(dataset, "target", None) for dataset in built]
        for name in filter(None, names):
            if names.count(name) > 1:
                raise UserError(
                    f"{names.count(name)} data sets are named {name!r}",
                    "give each a name of its own by target='NAME'",
                )
        super().__init__(built, lazy_init=lazy_init, ignore_keys=ignore_keys)


def list_files(folder: Path, pattern: str, owner: str) -> list[tuple[Path, Path]]:
    """Return the files in `folder` that match a glob pattern, as `listing.find_spellings` does.

    Hidden files are left out, because archivers leave `._NAME.png` files that are no pictures.

    Raises:
        UserError: The folder does not exist, and `owner` names the data set that needs it. Or a
            folder below it cannot be read.
    """
    if not is_folder(folder):
        raise UserError(
            f"{owner}: folder {str(folder)!r} does not exist",
            "unpack the whole download (layout: data/README.md)",
        )
    found = find_spellings(folder, pattern)
    return [(spelled, path) for spelled, path in found if not path.name.startswith(".")]


def files_by_key(
    folder: Path,
    pattern: str,
    key: Callable[[Path], str | None],
    owner: str,
    missing: str,
    what: str | None = None,
) -> dict[str, Path]:
    """Return the files in `folder` that match a glob pattern, by a key, sorted.

    Args:
        folder: Where to look.
        pattern: A glob pattern relative to it. Its ending matches in upper and lower case.
        key: Gets the path in the spelling of the pattern. Returns the part that image and label
            have in common, or None for other files.
        owner: The data set, for messages.
        missing: What to do if there are none, for the message.
        what: The files' names in words, for the message; default `pattern`.

    Raises:
        UserError: The folder does not exist, cannot be read or holds no such file, or two files
            have the same key.
    """
    found: dict[str, Path] = {}
    for spelled, path in list_files(folder, pattern, owner):
        name = key(spelled)
        if name is None:
            continue
        if name in found:
            raise UserError(
                f"{owner}: {str(found[name])!r} and {str(path)!r} are both {name!r}",
                "keep one of them",
            )
        found[name] = path
    if not found:
        raise UserError(f"{owner}: no {what or pattern} in {str(folder)!r}", missing)
    return found


def read_exclude_list(root: str | os.PathLike, path: str | os.PathLike | None) -> frozenset[Path]:
    """Return the files that a list excludes.

    Args:
        root: The data root. The lines are relative to it.
        path: The list, or None for `ibn_seg_exclude.txt` in the root, which may be missing.

    Raises:
        UserError: The given list does not exist.
    """
    path, optional = (Path(root) / EXCLUDE_FILE, True) if path is None else (Path(path), False)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        if optional:
            return frozenset()
        raise UserError(f"{path}: no such exclude list", "mend exclude=") from error
    # A comment starts the line or follows a space: file names may hold '#'.
    names = (re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip() for line in lines)
    return frozenset(Path(root) / name for name in names if name)


def _check_partners(
    files: Mapping[str, Path], partners: Mapping[str, Path], kind: str, partner: str
) -> None:
    """Raise an error with the first file without partner and the number of such files."""
    lonely = [path for key, path in files.items() if key not in partners]
    if lonely:
        more = f" and {len(lonely) - 1} more" if len(lonely) > 1 else ""
        raise UserError(
            f"{lonely[0]}{more}: {kind} without {partner}",
            f"every {kind} needs its {partner}; unpack what is missing or move these away",
        )
