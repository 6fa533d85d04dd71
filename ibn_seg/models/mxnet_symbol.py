"""Compare a symbol file of MXNet with the network that its weights are read as.

Weights alone do not show an eps, a stride or an input that somebody changed. The expected graph is
that of https://github.com/bruinxiong/IBN-Net.mxnet at e138250. Names of nodes without weights
depend on what a process built before, so these are known by their operator and inputs.
"""

import ast
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ibn_seg.errors import UserError
from ibn_seg.io import read_json
from ibn_seg.models.mx_weights import MXForm
from ibn_seg.models.mxnet_graph import DEFAULTS, Graph, Node, graph_of

# Attributes of a node; older files have other keys.
_ATTRIBUTES = ("attrs", "attr", "param")
_SUMS = ("elemwise_add", "_plus", "_Plus")
_VARIABLE = "null"
_SLICE = "SliceChannel"
# Outputs of the whole network: probabilities, or logits.
_OUTPUTS = {"softmax", "fc1"}
_FIX = "give the symbol file of this checkpoint; a changed network needs code of its own"
# Python 2 wrote whole numbers of a tuple as 2L.
_LONG = re.compile(r"(\d)L\b")


@dataclass
class _Seen:
    """The nodes so far: what each is in the expected graph, by its place in the file."""

    tags: list[str] = field(default_factory=list)
    operators: list[str] = field(default_factory=list)

    def input(self, reference: object) -> str | None:
        """Return what an input `[node, output, version]` is, or None if there is no such node."""
        if not isinstance(reference, Sequence) or len(reference) < 2:
            return None
        node, output = reference[:2]
        if not isinstance(node, int) or not 0 <= node < len(self.tags):
            return None
        sliced = self.operators[node] == _SLICE
        return f"{self.tags[node]}[{output}]" if sliced or output else self.tags[node]


def check_symbol(path: str | os.PathLike, form: MXForm) -> None:
    """Raise unless a symbol file describes the network of a form.

    Args:
        path: A `-symbol.json` file of any age.
        form: What the names and shapes of the weights say.

    Raises:
        UserError: It is no symbol file, or a node differs; the line names node and attribute.
    """
    graph, seen, named = graph_of(form), _Seen(), set()
    content = _content(path)
    for place, node in enumerate(content["nodes"]):
        operator, name = node.get("op"), node.get("name")
        if not isinstance(operator, str) or not isinstance(name, str):
            raise UserError(f"{path}: node {place} has no op or no name", _FIX)
        try:
            tag = name if operator == _VARIABLE else _tag(node, operator, name, seen, graph)
        except UserError as error:
            raise UserError(f"{path}: node {name}, {error}", _FIX) from error
        seen.tags.append(tag)
        seen.operators.append(operator)
        if operator != _VARIABLE:
            named.add(tag)
    missing = [name for name in graph.layers if name not in named]
    if missing:
        raise UserError(f"{path}: node {missing[0]} is missing, the network has it", _FIX)
    heads = content.get("heads")
    outputs = [seen.input(head) for head in heads] if isinstance(heads, list) else []
    if not outputs or not set(outputs) <= _OUTPUTS:
        shown = ", ".join(map(str, outputs)) or "nothing"
        raise UserError(f"{path}: heads: the output is {shown}, the network's is softmax", _FIX)


def _content(path: str | os.PathLike) -> Mapping:
    """Return the content of a symbol file, with a list of nodes."""
    content = read_json(path)
    nodes = content.get("nodes") if isinstance(content, dict) else None
    if not isinstance(nodes, list) or not nodes or not all(isinstance(n, dict) for n in nodes):
        raise UserError(f"{path}: not a symbol file of MXNet, it has no nodes", _FIX)
    return content


def _tag(node: Mapping, operator: str, name: str, seen: _Seen, graph: Graph) -> str:
    """Return the name of a node in the expected graph, whose attributes and inputs it must have."""
    operator = "elemwise_add" if operator in _SUMS else operator
    given = node.get("inputs")
    if not isinstance(given, list):
        raise UserError("attribute inputs is no list")
    inputs = [seen.input(reference) for reference in given]
    if None in inputs:
        raise UserError(f"attribute inputs: {given!r} are not all nodes before it")
    expected = graph.layers.get(name)
    if expected is not None:
        _check_operator(expected, operator, inputs)
    else:
        expected = graph.find(operator, inputs)
    if expected is None:
        raise UserError(f"{operator} of {', '.join(map(str, inputs))}: no part of the network")
    _check_attributes(node, expected)
    return expected.tag


def _check_operator(expected: Node, operator: str, inputs: Sequence[str | None]) -> None:
    if operator != expected.operator:
        raise UserError(f"attribute op: {operator}, the network has {expected.operator}")
    # Old files list no moving statistics among the inputs.
    shown = expected.inputs[: len(inputs)] if len(inputs) == 3 else expected.inputs
    if tuple(inputs) != shown:
        raise UserError(
            f"attribute inputs: {', '.join(map(str, inputs))}, the network has {', '.join(shown)}"
        )


def _check_attributes(node: Mapping, expected: Node) -> None:
    given = next((node[key] for key in _ATTRIBUTES if isinstance(node.get(key), dict)), {})
    for key, wanted in expected.attributes.items():
        default = DEFAULTS[expected.operator].get(key)
        found = _value(given[key]) if key in given else default
        if not _same(found, wanted):
            shown = "missing" if found is None else found
            where = "" if key in given or found is None else ", MXNet's default"
            raise UserError(f"attribute {key}: {shown}{where}, the network has {wanted}")


def _same(found: Any, wanted: Any) -> bool:
    """Return whether two values are equal; numbers with a point as float32, which MXNet uses."""
    if isinstance(wanted, float) and isinstance(found, int | float):
        return math.isclose(found, wanted, rel_tol=1e-6)
    return found == wanted


def _value(text: object) -> Any:
    """Return the value of an attribute's text, or the text if it is a word."""
    try:
        value = ast.literal_eval(_LONG.sub(r"\1", str(text)))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text
    return tuple(value) if isinstance(value, list) else value
