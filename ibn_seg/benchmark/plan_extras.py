"""Reads a plan's parts beside the matrix: oracles, analyses of the networks, transfer."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ibn_seg.analyses.all_analyses import measuring, part
from ibn_seg.analyses.option_kinds import read_options
from ibn_seg.analyses.transfer.share_config import STARTS
from ibn_seg.benchmark.plan_matrix import (
    read_schedule,
    read_seeds,
    read_sources,
    read_targets,
)
from ibn_seg.benchmark.plan_parts import Block, Choice, PlannedAnalysis, Transfer
from ibn_seg.yaml_values import Reader

EXTRAS = ("oracles", "analyses", "transfer")
_CHOSEN = ("methods", "backbones", "seeds")


def read_extras(read: Reader, given: Mapping[str, Any], blocks: Sequence[Block]) -> dict[str, Any]:
    """Return the checked fields of a plan that it gives beside the matrix.

    Args:
        read: The reader.
        given: The plan file's content.
        blocks: The matrix and the blocks of `also`. Only their methods and backbones may be named.
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
    allowed = ("targets", "domains", "shares", "starts", "schedule", *_CHOSEN)
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
    if "domains" in given:
        block = replace(block, targets=read_targets(read, given["domains"], "transfer.domains"))
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
    """Return choices of the matrix by name."""
    known = {one.name: one for block in reversed(blocks) for one in getattr(block, axis)}
    names = read.unique(value, key, f"[{next(iter(known))}]")
    return tuple(
        known[read.choice(name, f"{key}.{k}", axis.removesuffix("s"), known)]
        for k, name in enumerate(names)
    )


def _analyses(read: Reader, value: Any, blocks: Sequence[Block]) -> tuple[PlannedAnalysis, ...]:
    example = " such as {robustness: {severities: [3]}}"
    given = read.mapping(value, "analyses", measuring(), example)
    found = []
    for task, options in given.items():
        key = f"analyses.{task}"
        declared = part(task, "options").OPTIONS
        allowed = (*(one.name for one in declared), *_CHOSEN, "sources")
        options = read.mapping({} if options is None else options, key, allowed)
        networks = _networks(read, options, key, blocks)
        if "sources" in options:
            names = read.unique(options["sources"], f"{key}.sources", "[gta5]")
            networks["sources"] = [
                read.text(name, f"{key}.sources.{k}", "gta5") for k, name in enumerate(names)
            ]
        trained = {seed for block in blocks for seed in block.seeds}
        for k, seed in enumerate(networks.get("seeds", ())):
            read.choice(seed, f"{key}.seeds.{k}", "seed", sorted(trained))
        chosen = {
            name: tuple(getattr(one, "name", one) for one in axis)
            for name, axis in networks.items()
        }
        found.append(PlannedAnalysis(task, read_options(declared, read, options, key), **chosen))
    return tuple(found)
