"""The common parts of all urban-scene data sets: pairing, label tables, and domain names."""

import abc
import dataclasses
import functools
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ibn_seg.datasets.cache import FrameCache
from ibn_seg.datasets.card import DataCard
from ibn_seg.datasets.class_map import ClassMap
from ibn_seg.datasets.class_space import IGNORE_INDEX, ClassSpace, rgb_of
from ibn_seg.datasets.formats import check_image_file, explained_decoding
from ibn_seg.datasets.known_classes import CITYSCAPES, map_of, space_of
from ibn_seg.datasets.labels import LabelTable
from ibn_seg.datasets.listing import is_folder
from ibn_seg.datasets.pairing import check_partners, read_exclude_list
from ibn_seg.datasets.quiet_mmseg import load_mmseg
from ibn_seg.datasets.subset import check_share, subset
from ibn_seg.errors import UserError, unknown


# An import statement would let the fork's lines through.
class UrbanSceneDataset(load_mmseg().BaseSegDataset, abc.ABC):
    """Base of the data sets that read raw downloads.

    Labels have the classes `SPACE`, by default the 19 of Cityscapes.

    A subclass names its domain (`TARGET`), the environment variable of its root (`ROOT_VARIABLE`)
    and its splits (`SPLITS`, the default first). `UNUSABLE` has the keys of files known to be
    unusable. `list_images` and `list_labels` return images and labels by a common key; `table` must
    be set by then. Every image must have a label and every label an image. With other classes than
    Cityscapes', it sets `SPACE` and `METAINFO = SPACE.metainfo()`. A class in the table
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
        read_as: A coarser class space to read the labels in: a name, a YAML file or a list, see
            `ibn_seg.datasets.known_classes`. Default: the data set's own classes.
        read_map: The map to it: a YAML file or its content. Default: the map known by name.
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

    METAINFO = CITYSCAPES.metainfo()
    SPACE: ClassSpace = CITYSCAPES
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
        read_as: Any = None,
        read_map: Any = None,
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
        if split is not None and not self.SPLITS:
            raise UserError(f"{type(self).__name__} has no split {split!r}", "leave split out")
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
        self._reading = self._map_to(read_as, read_map)
        self._check_metainfo(metainfo or {}, read_as)
        #: The classes of the labels as they are read, before `metainfo` selects some.
        self.space = self.SPACE if read_as is None else space_of(read_as, "read_as")
        super().__init__(
            data_root=os.path.expanduser(data_root),
            # Paths come from the listing, not from mmseg's join of prefixes and suffixes.
            data_prefix={},
            pipeline=list(pipeline),
            metainfo={**self.space.metainfo(), **(metainfo or {})},
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
        if self.cache:
            self.check_cache_is_read()

    def check_cache_is_read(self) -> None:
        """Check that a step of the pipeline, if there is one, reads a cache of frames.

        Raises:
            UserError: None does, so a cache would be of no use.
        """
        if self.pipeline.transforms and self._check_files:
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
        check_partners(images, labels, "image", "label")
        check_partners(labels, images, "label", "image")
        keys = self.select(list(images))
        if not keys:
            raise self.no_sample()
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

    def no_sample(self) -> UserError:
        """Return the error for a split whose images are not there, or are all left out."""
        split = f" of split {self.split!r}" if self.split else ""
        return UserError(
            f"{type(self).__name__}: no image{split} in {str(self.data_root)!r}",
            "unpack what is missing, choose another part, or mend the exclude list",
        )

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
        values = enumerate(self.label_table.train_ids)
        self._tables = self.label_table, {value: int(new) for value, new in values}

    @functools.cached_property
    def label_table(self) -> LabelTable:
        """How the values in the label files become the classes that are read."""
        train_ids = self.table.train_ids
        if self._reading is not None:
            train_ids = self._reading.lookup[train_ids]
        if self.label_map is not None:
            lookup = np.full(256, IGNORE_INDEX, np.uint8)
            lookup[list(self.label_map)] = list(self.label_map.values())
            train_ids = lookup[train_ids]
        train_ids.setflags(write=False)
        classes = len(self.metainfo["classes"])
        return dataclasses.replace(self.table, train_ids=train_ids, classes=classes)

    def get_label_map(self, new_classes: Sequence[str] | None = None) -> dict[int, int] | None:
        """Return the mapping from all classes to a subset of them, as mmseg does; None for all.

        Raises:
            UserError: A class of the subset is unknown.
        """
        if new_classes is None or tuple(new_classes) == self.space.classes:
            return None
        for name in new_classes:
            self.space.index(name)
        places = {name: at for at, name in enumerate(new_classes)}
        return {at: places.get(n, IGNORE_INDEX) for at, n in enumerate(self.space.classes)}

    def _map_to(self, read_as: Any, read_map: Any) -> ClassMap | None:
        """Return the map with which labels are read, or None."""
        if read_as is None and read_map is None:
            return None
        if read_as is None:
            raise UserError(
                f"{type(self).__name__}: read_map without read_as", "name the classes by read_as"
            )
        return map_of(read_map, self.SPACE.classes, space_of(read_as, "read_as"), "read_map")

    def _check_metainfo(self, given: Mapping[str, Any], read_as: Any) -> None:
        """Raise if classes are named twice, or colours are wrong or fit no list of classes."""
        every = (self.SPACE if read_as is None else space_of(read_as, "read_as")).classes
        names = given.get("classes") or every
        owner = f"{type(self).__name__}: metainfo"
        if isinstance(names, str):  # a file, as mmseg takes it
            return
        if len(set(names)) < len(names):
            twice = next(name for name in names if list(names).count(name) > 1)
            raise UserError(f"{owner} names the class {twice!r} twice", "name it once")
        palette = given.get("palette") or []
        if isinstance(palette, str):
            raise UserError(f"{owner} has the palette {palette!r}", "give a list of colours")
        if palette and len(palette) not in (len(names), len(every)):
            raise UserError(
                f"{owner} has {len(palette)} colours for {len(names)} classes",
                "give one colour per class, or none at all",
            )
        colors = [rgb_of(color, f"{owner}: palette") for color in palette]
        if len(set(colors)) < len(colors):
            twice = next(list(color) for color in colors if colors.count(color) > 1)
            raise UserError(
                f"{owner} gives two classes the colour {twice}", "give each a colour of its own"
            )

    def prepare_data(self, idx: int, **wishes: Any) -> Any:
        """Return one sample through the pipeline, after checking that its files are whole.

        Args:
            idx: The sample.
            **wishes: Requests for the crop, for `LoadRandomCrop`.

        Raises:
            UserError: A file is missing, truncated or damaged, or nothing uses the requests.
        """
        info = {**self.get_data_info(idx), **wishes}
        if any(getattr(step, "needs_partner", False) for step in self.pipeline.transforms):
            partner = self.get_data_info(np.random.randint(len(self)))
            info["partner_path"] = partner["img_path"]
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
