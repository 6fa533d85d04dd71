"""Put an instance norm between the addition and the last activation of another library's block.

That place is inside the block's `forward`, and the block may call the same activation module
elsewhere too. So the block's own `forward` keeps running, but with a view in place of its
activation. The view counts the calls in one pass and applies the norm before the right one.

A symbolic trace of the block shows the right call: it follows the addition and ends the block. A
trace of the result must show the norm there and no other change.

TorchScript cannot compile such a view. It gets the traced steps of the block as a forward pass.
"""

import copy
import functools
import operator
import types
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.fx import Graph, GraphModule, Node, Proxy, Tracer
from torch.fx.proxy import TraceError

from ibn_seg.errors import UserError
from ibn_seg.models.blocks import ResidualBlock
from ibn_seg.surgery.networks import Block

# Our own blocks use this name too, so that the keys are the same.
NORM = "IN"

# The first version whose torch.compile is known to follow `_View`. Of the older versions tried, 2.6
# silently left out the norm; 2.9 and 2.11 stopped with an internal error.
COMPILED_SINCE = (2, 13)

_UNTRACEABLE = (TraceError, TypeError, AttributeError, RuntimeError)
_ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")


@dataclass(frozen=True)
class Call:
    """One call of a module in a block's forward pass: its name, and which of its calls (from 1)."""

    name: str
    number: int


class NormAfterAddition:
    """Mixed into the class of a block: runs the block's `IN` before its last activation.

    The block stays an instance of its own class with all its attributes. It can be copied and
    pickled.

    Attributes:
        IN: The instance norm.
        last_activation: The call that it runs before.
        own_class: The original class of the block.
    """

    last_activation: Call
    own_class: type[nn.Module]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run the block's own forward pass with `IN` before the last activation."""
        return self.own_class.forward(_View(self), x)

    def __reduce_ex__(self, protocol: int) -> tuple:
        """Pickle the block's own class, because ours is created at run time."""
        _, _, *state = super().__reduce_ex__(protocol)
        return (_restore, (self.own_class,), *state)

    def __prepare_scriptable__(self) -> nn.Module:
        """Return this block with its steps written out, as `torch.jit.script` asks for.

        PyTorch replaces the block by the result. So the result is the block itself, and its
        outputs, keys, copies and pickles stay the same.
        """
        self.__class__ = _written_out(self)
        return self


class _View:
    """A block in one forward pass, with the norm before its last activation.

    Each pass has its own count here, not in the block: recomputation and threads need separate
    counts.
    """

    # For an uninitialised object, such as torch.compile makes for inspection.
    _block: nn.Module | None = None

    def __init__(self, block: NormAfterAddition) -> None:
        call = block.last_activation
        activation = _NormBeforeCall(getattr(block, call.name), block.IN, call.number)
        vars(self).update({"_block": block, call.name: activation})

    @property
    def __class__(self) -> type:
        """The block's class, so that a `super()` in its forward pass uses the view."""
        return type(self._block)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._block, name)
        if isinstance(value, types.MethodType) and value.__self__ is self._block:
            return functools.partial(value.__func__, self)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._block, name, value)


class _NormBeforeCall:
    """An activation that runs the norm first, in one of its calls."""

    def __init__(self, activation: nn.Module, norm: nn.Module, number: int) -> None:
        self.activation = activation
        self.norm = norm
        self.left = number

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.left -= 1
        return self.activation(self.norm(x) if self.left == 0 else x)


class _BlockTracer(Tracer):
    """Traces the steps of a block, with its modules as single steps."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True

    def to_bool(self, obj: Proxy) -> bool:
        """Decide `if self.with_cp and x.requires_grad`: recomputation does not change results."""
        node = obj.node
        if node.target is getattr and node.args[1:] == ("requires_grad",):
            return False
        return super().to_bool(obj)


def attach_norm(block: nn.Module, norm: nn.Module, call: Call) -> None:
    """Let `block` run `norm` before the given call of its activation."""
    setattr(block, NORM, norm)
    if not isinstance(block, ResidualBlock):  # our own blocks already run their norm
        block.last_activation = call
        block.__class__ = _with_norm(type(block))


def last_activation(block: Block) -> Call:
    """Return the call before which variant b's norm has to run.

    Raises:
        UserError: The block does not end in an addition and a call of its activation. Or the norm
            cannot be put between the two.
    """
    copied = copy.deepcopy(block.module)
    graphs = {}
    for training in (False, True):
        copied.train(training)
        graphs[training] = _trace(block, copied)
    calls = {_last_call(block, graph) for graph in graphs.values()}
    if len(calls) > 1:
        raise _refusal(block, "its calls of the activation differ between training and evaluation")
    (call,) = calls
    attach_norm(copied, nn.Identity(), call)
    for training, graph in graphs.items():
        copied.train(training)
        _check(block, graph, _trace(block, copied))
    return call


def _last_call(block: Block, graph: Graph) -> Call:
    """Return the call of the activation that ends the block, after the addition."""
    steps = list(graph.nodes)
    last = steps[-1].args[0]
    if not _calls_activation(last, block):
        raise _refusal(block, "it does not end in a call of its activation module")
    if last.args[0].target not in _ADDITIONS or len(last.args[0].users) > 1:
        raise _refusal(block, "its last activation does not follow a residual addition alone")
    same = [step for step in steps if (step.op, step.target) == (last.op, last.target)]
    return Call(last.target, same.index(last) + 1)


def _calls_activation(step: object, block: Block) -> bool:
    """Return whether a step calls the activation after the addition, with one tensor."""
    return (
        isinstance(step, Node)
        and step.op == "call_module"
        and step.target in block.rule.activations
        and not isinstance(getattr(block.module, step.target), nn.Identity)
        and len(step.args) == 1
        and isinstance(step.args[0], Node)
    )


def _check(block: Block, graph: Graph, changed: Graph) -> None:
    """Raise unless the changed block has the steps of `graph` and the norm before the last one."""
    steps, now = list(graph.nodes), list(changed.nodes)
    last = steps[-1].args[0]
    place = steps.index(last)
    expected = [(step.op, step.target) for step in steps]
    expected.insert(place, ("call_module", NORM))
    same = [(step.op, step.target) for step in now] == expected
    if not same or now[place].args[0].name != last.args[0].name:
        raise _refusal(block, "its forward pass cannot be interrupted after the addition")


def _trace(block: Block, module: nn.Module) -> Graph:
    """Return the steps of the forward pass of `module`, which is a block or a copy of it."""
    try:
        graph = _BlockTracer().trace(module)
    except _UNTRACEABLE as error:
        reason = str(error).partition("\n")[0]
        raise _refusal(block, f"its forward pass cannot be traced ({reason})") from error
    if sum(step.op == "placeholder" for step in graph.nodes) != 1:
        raise _refusal(block, "it has more than one input")
    return graph


def _refusal(block: Block, reason: str) -> UserError:
    return UserError(
        f"{block.name} ({type(block.module).__name__}) cannot get variant 'b': {reason}",
        "use variant 'a'",
    )


@functools.cache
def _with_norm(base: type[nn.Module]) -> type[nn.Module]:
    """Return the class of a block with a norm after the addition."""
    members: dict[str, Any] = {"own_class": base, "__module__": __name__}
    if torch.__version__ < COMPILED_SINCE:
        # The block runs as it is, between the compiled parts of the network.
        members["forward"] = torch.compiler.disable(NormAfterAddition.forward)
    return type(f"{base.__name__}WithIN", (NormAfterAddition, base), members)


def _written_out(block: NormAfterAddition) -> type[nn.Module]:
    """Return the class of `block` with a forward pass that runs its steps one by one.

    Raises:
        UserError: The steps are not the same in training and evaluation.
    """
    mode, extended = block.training, _with_norm(block.own_class)
    block.__class__ = extended
    codes = {}
    for training in (not mode, mode):
        block.training = training
        graph = _BlockTracer().trace(block)
        codes[training] = graph.python_code("self").src
    if codes[True] != codes[False]:
        raise UserError(
            f"{block.own_class.__name__} cannot be scripted, because its steps differ between "
            "training and evaluation",
            "use torch.jit.trace or torch.export",
        )
    members = {
        "forward": type(GraphModule(block, graph)).forward,
        "__module__": __name__,
        "__annotations__": {},
        # TorchScript would compile the class of each attribute.
        "__jit_ignored_attributes__": ["last_activation"],
    }
    return type(extended.__name__, (extended,), members)


def _restore(base: type[nn.Module]) -> nn.Module:
    """Return an empty block of the class with the norm, for copying and unpickling."""
    extended = _with_norm(base)
    return extended.__new__(extended)
