"""Reads what a plan runs beside its matrix: oracles, analyses of the networks, transfer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ibn_seg.analyses.transfer.share_config import STARTS
from ibn_seg.benchmark.plan_matrix import read_schedule, read_seeds, read_sources
from ibn_seg.benchmark.plan_parts import Analysis, Block, Choice, Transfer
from ibn_seg.benchmark.plan_values import Reader

EXTRAS = ("oracles", "analyses", "transfer")
_CHOSEN = ("methods", "backbones", "seeds")
_SEVERITIES = range(1, 6)


def read_extras(read: Reader, given: Mapping[str, Any], blocks: Sequence[Block]) -> dict[str, Any]:
    """Return the fields of a plan that are given beside the matrix, checked.

    Args:
        read: The reader.
        given: The plan file's content.
        blocks: The matrix and those of `also`, whose names of methods and backbones are known.
    """
    readers = {"oracles": _oracles, "analyses": _analyses, "transfer": _transfer}
    return {key: readers[key](read, given[key], blocks) for key in EXTRAS if key in given}


def _oracles(read: Reader, value: Any, blocks: Sequence[Block]) -> Block:
    given = read.mapping(
        value, "oracles", ("sources", *_CHOSEN), " such as {sources: [cityscapes]}"
    )
    if "sources" not in given:
        read.fail("oracles.sources", "is missing", "name the training sets of targets")
    baseline = {"methods": blocks[0].methods[:1]}
    return replace(
        blocks[0],
        sources=read_sources(read, given["sources"], "oracles.sources"),
        **(baseline | _networks(read, given, "oracles", blocks)),
    )


def _transfer(read: Reader, value: Any, blocks: Sequence[Block]) -> Transfer:
    allowed = ("targets", "shares", "starts", "schedule", *_CHOSEN)
    given = read.mapping(value, "transfer", allowed)
    for key in ("targets", "shares"):
        if key not in given:
            read.fail(f"transfer.{key}", "is missing", "name training sets and percents of them")
    if len(blocks[0].sources) > 1:
        read.fail("transfer", "the plan has several sources", "give one source to begin from")
    shares = read.unique(given["shares"], "transfer.shares", "[1, 10, 100]")
    starts = read.unique(given.get("starts", list(STARTS)), "transfer.starts", "[source, scratch]")
    block = replace(
        blocks[0],
        sources=read_sources(read, given["targets"], "transfer.targets"),
        **_networks(read, given, "transfer", blocks),
    )
    if "schedule" in given:
        block = replace(block, schedule=read_schedule(read, given["schedule"], "transfer.schedule"))
    return Transfer(
        block,
        tuple(_percent(read, item, f"transfer.shares.{k}") for k, item in enumerate(shares)),
        tuple(
            read.choice(item, f"transfer.starts.{k}", "start", STARTS)
            for k, item in enumerate(starts)
        ),
    )


def _percent(read: Reader, value: Any, key: str) -> float:
    number = read.number(value, key)
    if number > 100:
        read.fail(key, f"is {value}", "expected percent, up to 100")
    return number


def _networks(
    read: Reader, given: Mapping[str, Any], start: str, blocks: Sequence[Block]
) -> dict[str, Any]:
    """Return the axes of a block that name networks of the matrix."""
    axes: dict[str, Any] = {
        key: _choices(read, given[key], f"{start}.{key}", blocks, key)
        for key in ("methods", "backbones")
        if key in given
    }
    if "seeds" in given:
        axes["seeds"] = read_seeds(read, given["seeds"], f"{start}.seeds")
    return axes


def _choices(
    read: Reader, value: Any, key: str, blocks: Sequence[Block], axis: str
) -> tuple[Choice, ...]:
    """Return choices of the matrix by their names."""
    known = {one.name: one for block in reversed(blocks) for one in getattr(block, axis)}
    names = read.unique(value, key, f"[{next(iter(known))}]")
    return tuple(
        known[read.choice(name, f"{key}.{k}", axis.removesuffix("s"), known)]
        for k, name in enumerate(names)
    )


def _analyses(read: Reader, value: Any, blocks: Sequence[Block]) -> tuple[Analysis, ...]:
    readers = {"divergence": _divergence, "robustness": _robustness}
    given = read.mapping(value, "analyses", readers, " such as {robustness: {severities: [3]}}")
    found = []
    for task, options in given.items():
        key = f"analyses.{task}"
        allowed = (*_OPTIONS[task], *_CHOSEN)
        options = read.mapping({} if options is None else options, key, allowed)
        networks = _networks(read, options, key, blocks)
        trained = {seed for block in blocks for seed in block.seeds}
        for k, seed in enumerate(networks.get("seeds", ())):
            read.choice(seed, f"{key}.seeds.{k}", "seed", sorted(trained))
        chosen = {
            name: tuple(getattr(one, "name", one) for one in axis)
            for name, axis in networks.items()
        }
        found.append(Analysis(task, readers[task](read, options, key), **chosen))
    return tuple(found)


# What of each command's options a plan may give, with what an absent one means.
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "divergence": {
        "pairs": [], "images": None, "min_images": 200, "size": [256, 128], "scene_seed": 1,
        "seed": 0,
    },
    "robustness": {"corruptions": [], "severities": [], "domains": [], "seed": 0},
}  # fmt: skip


def _divergence(read: Reader, given: Mapping[str, Any], key: str) -> dict[str, Any]:
    options = dict(_OPTIONS["divergence"])
    if "pairs" in given:
        pairs = given["pairs"]
        if isinstance(pairs, list):
            # YAML reads the name of the pair 'null' as nothing.
            pairs = ["null" if pair is None else pair for pair in pairs]
        options["pairs"] = _texts(read, pairs, f"{key}.pairs", "[appearance, content]")
    for name, least in (("images", 2), ("min_images", 2), ("scene_seed", 0), ("seed", 0)):
        if name in given:
            options[name] = read.whole(given[name], f"{key}.{name}", least)
    if "size" in given:
        options["size"] = list(read.size(given["size"], f"{key}.size"))
    return options


def _robustness(read: Reader, given: Mapping[str, Any], key: str) -> dict[str, Any]:
    options = dict(_OPTIONS["robustness"])
    for name, example in (("corruptions", "[haze, jpeg]"), ("domains", "[cityscapes]")):
        if name in given:
            options[name] = _texts(read, given[name], f"{key}.{name}", example)
    if "severities" in given:
        grades = read.unique(given["severities"], f"{key}.severities", "[1, 3, 5]")
        for index, grade in enumerate(grades):
            at = f"{key}.severities.{index}"
            read.choice(read.whole(grade, at, 1), at, "severity", _SEVERITIES)
        options["severities"] = grades
    if "seed" in given:
        options["seed"] = read.whole(given["seed"], f"{key}.seed", 0)
    return options


def _texts(read: Reader, value: Any, key: str, example: str) -> list[str]:
    items: Iterable[Any] = read.unique(value, key, example)
    return [read.text(item, f"{key}.{k}", example) for k, item in enumerate(items)]
