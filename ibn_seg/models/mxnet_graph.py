"""The graph that a network of IBN-Net.mxnet has in a symbol file.

Source: https://github.com/bruinxiong/IBN-Net.mxnet at e138250.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ibn_seg.models.mx_weights import MXForm

_EPS = 2e-5
_NORM = ("gamma", "beta", "moving_mean", "moving_var")
# What an operator does without an attribute (MXNet 1.9.1), for those that are compared.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "BatchNorm": {"eps": 1e-3, "fix_gamma": True, "axis": 1},
    "InstanceNorm": {"eps": 1e-3},
    "Convolution": {
        "stride": (1, 1), "pad": (0, 0), "dilate": (1, 1), "num_group": 1, "no_bias": False,
    },
    "Activation": {},
    "Pooling": {
        "pool_type": "max", "stride": (1, 1), "pad": (0, 0), "global_pool": False,
        "pooling_convention": "valid",
    },
    "SliceChannel": {"axis": 1, "squeeze_axis": False},
    "Concat": {"dim": 1},
    "elemwise_add": {},
    "Flatten": {},
    "Dropout": {},
    "FullyConnected": {"no_bias": False, "flatten": True},
    "SoftmaxOutput": {},
}  # fmt: skip
_SMALL, _DEEP = "small", "deep"


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        tag: Its name, or for an operation without weights a name that we give it.
        operator: MXNet's name of the operation.
        inputs: Tags of its inputs; `tag[0]` is the first output of a `SliceChannel`.
        attributes: Those that are compared.
    """

    tag: str
    operator: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass
class Graph:
    """The operations of a network: those with weights by name, others by operator and inputs."""

    layers: dict[str, Node] = field(default_factory=dict)
    others: dict[tuple[str, tuple[str, ...]], Node] = field(default_factory=dict)

    def find(self, operator: str, inputs: Iterable[str | None]) -> Node | None:
        """Return the operation without weights that has these inputs, or None."""
        return self.others.get(_key(operator, map(str, inputs)))

    def layer(
        self, name: str, operator: str, x: str, ends: Sequence[str], **attributes: Any
    ) -> str:
        """Add an operation with weights, which have these ends, and return its name."""
        inputs = (x, *(f"{name}_{end}" for end in ends))
        self.layers[name] = Node(name, operator, inputs, attributes)
        return name

    def other(self, tag: str, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add an operation without weights and return its tag."""
        self.others[_key(operator, inputs)] = Node(tag, operator, inputs, attributes)
        return tag

    def norm(self, name: str, x: str, fix_gamma: bool = False) -> str:
        """Add a batch norm."""
        return self.layer(name, "BatchNorm", x, _NORM, eps=_EPS, fix_gamma=fix_gamma, axis=1)

    def instance_norm(self, name: str, x: str) -> str:
        """Add an instance norm."""
        return self.layer(name, "InstanceNorm", x, _NORM[:2], eps=_EPS)

    def conv(
        self, name: str, x: str, filters: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> str:
        """Add a convolution without bias, padded by half of its kernel."""
        return self.layer(
            name, "Convolution", x, ("weight",), num_filter=filters, kernel=(kernel, kernel),
            stride=(stride, stride), pad=(kernel // 2, kernel // 2), dilate=(1, 1),
            num_group=groups, no_bias=True,
        )  # fmt: skip

    def relu(self, x: str) -> str:
        """Add a ReLU."""
        return self.other(f"relu of {x}", "Activation", x, act_type="relu")


def graph_of(form: MXForm) -> Graph:
    """Return the graph of the network of a form."""
    graph = Graph()
    x = _stem(graph, form, graph.norm("bn_data", "data", fix_gamma=True))
    for stage, units in enumerate(form.units):
        for unit in range(units):
            x = _block(graph, form, stage, unit, x)
    if form.family == "mx_resnet":
        x = graph.relu(graph.norm("bn1", x))
    x = graph.other("global pooling", "Pooling", x, pool_type="avg", global_pool=True)
    x = graph.other("flat", "Flatten", x)
    graph.other("softmax", "SoftmaxOutput", _classifier(graph, form, x), "softmax_label")
    return graph


def _classifier(graph: Graph, form: MXForm, x: str) -> str:
    if form.family == "mx_resnext_wd":
        x = graph.other("dropout", "Dropout", x)
    return graph.layer(
        "fc1", "FullyConnected", x, ("weight", "bias"), num_hidden=form.num_classes, no_bias=False,
        flatten=True,
    )  # fmt: skip


def _stem(graph: Graph, form: MXForm, x: str) -> str:
    channels = form.stem_channels
    if form.stem == _SMALL:
        return graph.conv("conv0", x, channels, 3)
    if form.stem == _DEEP:
        x = graph.relu(graph.norm("bn02", graph.conv("conv02", x, channels, 3)))
        x = graph.relu(graph.norm("bn03", graph.conv("conv03", x, channels, 3, stride=2)))
    else:
        x = graph.relu(graph.norm("bn0", graph.conv("conv0", x, channels, 7, stride=2)))
    return graph.other(
        "stem pooling", "Pooling", x, pool_type="max", kernel=(3, 3), stride=(2, 2), pad=(1, 1),
        global_pool=False, pooling_convention="valid",
    )  # fmt: skip


def _block(graph: Graph, form: MXForm, stage: int, unit: int, x: str) -> str:
    """Add one block after `x` and return its last tag."""
    name = f"stage{stage + 1}_unit{unit + 1}"
    stride = 2 if stage > 0 and unit == 0 else 1
    split, after = (form.ibn_stages[stage] == mark for mark in ("a", "b"))
    if form.family == "mx_resnet":
        start = graph.relu(_first_norm(graph, name, x, split))
        end = _preactivated(graph, form, stage, name, start, stride)
        shortcut = _projection(graph, form, stage, name, start, stride) if unit == 0 else x
        return graph.other(f"sum of {name}", "elemwise_add", end, shortcut)
    end = _residual(graph, form, stage, name, x, stride, split)
    shortcut = x
    if unit == 0:
        shortcut = graph.norm(f"{name}_sc_bn", _projection(graph, form, stage, name, x, stride))
    total = graph.other(f"sum of {name}", "elemwise_add", end, shortcut)
    return graph.relu(graph.instance_norm(f"{name}_ibn1", total) if after else total)


def _first_norm(graph: Graph, name: str, x: str, split: bool) -> str:
    if not split:
        return graph.norm(f"{name}_bn1", x)
    halves = graph.other(
        f"halves of {x}", "SliceChannel", x, num_outputs=2, axis=1, squeeze_axis=False
    )
    instance = graph.instance_norm(f"{name}_in1", f"{halves}[0]")
    batch = graph.norm(f"{name}_bn1", f"{halves}[1]")
    return graph.other(f"IBN of {name}", "Concat", instance, batch, dim=1)


def _preactivated(graph: Graph, form: MXForm, stage: int, name: str, x: str, stride: int) -> str:
    """Add the convolutions of a block that normalises before each of them."""
    filters = form.filters[stage]
    if not form.bottleneck:
        x = graph.conv(f"{name}_conv1", x, filters, 3, stride)
        return graph.conv(f"{name}_conv2", graph.relu(graph.norm(f"{name}_bn2", x)), filters, 3)
    x = graph.conv(f"{name}_conv1", x, filters // 4, 1)
    x = graph.conv(
        f"{name}_conv2", graph.relu(graph.norm(f"{name}_bn2", x)), filters // 4, 3, stride
    )
    return graph.conv(f"{name}_conv3", graph.relu(graph.norm(f"{name}_bn3", x)), filters, 1)


def _residual(
    graph: Graph, form: MXForm, stage: int, name: str, x: str, stride: int, split: bool
) -> str:
    """Add the convolutions and norms of a block of ResNeXt."""
    filters = form.filters[stage]
    if not form.bottleneck:
        x = graph.relu(
            graph.norm(f"{name}_bn1", graph.conv(f"{name}_conv1", x, filters, 3, stride))
        )
        return graph.norm(f"{name}_bn2", graph.conv(f"{name}_conv2", x, filters, 3))
    width = filters // 2
    if "b" in form.ibn_stages:
        x = graph.relu(graph.norm(f"{name}_bn1", graph.conv(f"{name}_conv1", x, width, 1)))
    else:
        x = graph.relu(_first_norm(graph, name, x, split))
    x = graph.conv(f"{name}_conv2", x, width, 3, stride, form.groups)
    x = graph.conv(f"{name}_conv3", graph.relu(graph.norm(f"{name}_bn2", x)), filters, 1)
    return graph.norm(f"{name}_bn3", x)


def _projection(graph: Graph, form: MXForm, stage: int, name: str, x: str, stride: int) -> str:
    kernel = form.shortcut if stride > 1 else 1
    return graph.conv(f"{name}_sc", x, form.filters[stage], kernel, stride)


def _key(operator: str, inputs: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Return what tells operations without weights apart; the label of a softmax does not."""
    listed = list(inputs)[:1] if operator == "SoftmaxOutput" else list(inputs)
    return operator, tuple(sorted(listed) if operator == "elemwise_add" else listed)
