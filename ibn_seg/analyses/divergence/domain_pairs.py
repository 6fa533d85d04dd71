"""Pairs of picture sets to compare, and the side that each picture belongs to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ibn_seg.errors import UserError, unknown

# Prefix of domains that are rendered for the comparison. The style's name follows.
RENDERED = "scenes/"
_SOURCE = f"{RENDERED}source"
# Kind -> (number of names, default names).
KINDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "appearance": (2, (_SOURCE, f"{RENDERED}target")),
    "content": (1, (_SOURCE,)),
    "null": (1, (_SOURCE,)),
    "domains": (2, ()),
}
DEFAULT_PAIRS = ("appearance", "content", "null")
# The classes by which 'content' halves a domain: those of Cityscapes and of CamVid.
_BUILT = "building"
_GREEN = ("vegetation", "terrain", "tree")
_FORM = "write appearance, content, null:DOMAIN or domains:A,B"


@dataclass(frozen=True)
class Pair:
    """A pair of picture sets to compare.

    Attributes:
        kind: 'appearance': the same scenes rendered in two styles; 'content': the halves of one
            domain with more and with fewer buildings; 'null': two random halves of one domain;
            'domains': two domains.
        names: Domains: names of the config's test data, or `scenes/STYLE`.
    """

    kind: str
    names: tuple[str, ...]

    @property
    def label(self) -> str:
        """The user's text for it."""
        return f"{self.kind}:{','.join(self.names)}"

    @property
    def halves(self) -> bool:
        """Whether both sides come from one domain."""
        return len(self.names) == 1


def read_pairs(texts: Iterable[str]) -> tuple[Pair, ...]:
    """Return pairs from the user's texts; without any, the default pairs.

    Args:
        texts: KIND or KIND:NAME,... each.

    Raises:
        UserError: A kind is unknown, names are missing or too many, or a pair is given twice.
    """
    pairs = tuple(_read_pair(text) for text in tuple(texts) or DEFAULT_PAIRS)
    labels = [pair.label for pair in pairs]
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"pair {label} is given twice", "name each once")
    return pairs


def _read_pair(text: str) -> Pair:
    kind, colon, rest = text.partition(":")
    if kind not in KINDS:
        raise unknown("pair", kind, KINDS)
    count, default = KINDS[kind]
    names = tuple(name.strip() for name in rest.split(",") if name.strip()) if colon else default
    if kind == "appearance":
        names = tuple(RENDERED + name.removeprefix(RENDERED) for name in names)
    if len(names) != count or len(set(names)) != count:
        what = "one domain" if count == 1 else "two different domains"
        raise UserError(f"pair {text!r}: {kind} compares {what}", _FORM)
    return Pair(kind, names)


def halves(
    pair: Pair, count: int, shares: np.ndarray | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture positions of both sides of 'content' or 'null', ascending.

    Args:
        pair: The pair.
        count: Number of pictures in the domain.
        shares: For 'content', the share of buildings of each picture, see `built_share`. The side
            with fewer comes first.
        seed: Decides the halves of 'null'.
    """
    if pair.kind == "null":
        order = np.random.default_rng(seed).permutation(count)
    else:
        # Equal shares keep their order, so the halves do not depend on the sorting algorithm.
        order = np.argsort(shares, kind="stable")
    half = count // 2
    # With an odd number of pictures, the middle one is on neither side.
    return np.sort(order[:half]), np.sort(order[count - half :])


def built_share(labels: np.ndarray, classes: Sequence[str]) -> float:
    """Return the share of buildings among buildings and plants; 0.5 without any.

    It separates built-up from green scenes in any style. The split at its median is our choice.

    Args:
        labels: (H, W) uint8 indices of the classes.
        classes: Their names, a building among them.
    """
    counts = np.bincount(labels.ravel(), minlength=256)
    built = int(counts[classes.index(_BUILT)])
    green = sum(int(counts[at]) for at, name in enumerate(classes) if name in _GREEN)
    return built / (built + green) if built + green else 0.5


def scene_shares(dataset: Any, name: str) -> np.ndarray:
    """Return the `built_share` of each picture of a data set, (pictures,) float64.

    Args:
        dataset: One of our data sets.
        name: Its domain, for messages.

    Raises:
        UserError: The data set is not one of ours, its classes lack buildings or plants, or a
            label cannot be read.
    """
    from ibn_seg.datasets.formats import read_values
    from ibn_seg.transforms.loading import map_ids

    classes = tuple(dataset.metainfo.get("classes") or ())
    if _BUILT not in classes or not set(_GREEN) & set(classes):
        raise UserError(
            f"pair content:{name}: its {len(classes)} classes lack {_BUILT!r} or all of "
            f"{', '.join(map(repr, _GREEN))}",
            "use scenes/STYLE, or the pairs null and domains",
        )
    shares = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        if "label_table" not in info:
            raise UserError(
                f"pair content:{name}: {type(dataset).__name__} has no label table",
                "use a data set of ibn_seg, or scenes/STYLE",
            )
        table, path = info["label_table"], info["seg_map_path"]
        ids = read_values(path, table, info.get("segments"))
        shares.append(built_share(map_ids(ids, table, path), classes))
    return np.array(shares)
