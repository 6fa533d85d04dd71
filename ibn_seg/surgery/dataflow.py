"""Watch a running network to see which module reads another one's result.

A network's code can be written in any way, but its operations on tensors can be watched. Every
PyTorch operation passes here while the network runs once. This shows which step follows another,
and whether only that step reads its result.
"""

import weakref
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from ibn_seg.surgery.running import tensors


@dataclass
class Result:
    """The result of one call of a watched module.

    Attributes:
        module: Name of the module.
        readers: For every operation that read or wrote it, the watched module that ran the
            operation, or None.
        taken: Watched modules that were called with exactly this tensor.
        kept: Whether the tensor still existed at the end, as an output or elsewhere.
    """

    module: str
    readers: list[str | None] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    kept: bool = False

    def only_reader(self) -> str | None:
        """Return the one module that took the result, if nothing else read it, or None."""
        if self.kept or len(self.taken) != 1 or set(self.readers) - set(self.taken):
            return None
        return self.taken[0]

    def first_reader(self) -> str | None:
        """Return the module that took the result before anything else read it, or None."""
        return self.taken[0] if self.taken and self.readers[:1] == self.taken[:1] else None


@dataclass
class Dataflow:
    """The recorded calls of the watched modules.

    Attributes:
        results: Their results, in order.
        outputs: The output of each run of the network.
    """

    results: list[Result] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)

    def calls(self, module: str) -> int:
        """Return how many times a module was called."""
        return sum(result.module == module for result in self.results)

    def result(self, module: str) -> Result | None:
        """Return a module's result, or None unless it was called once."""
        found = [result for result in self.results if result.module == module]
        return found[0] if len(found) == 1 else None


def watch(modules: Mapping[str, nn.Module], runs: Iterable[Callable[[], Any]]) -> Dataflow:
    """Run a network in evaluation mode and record some of its modules.

    Args:
        modules: The modules to watch, by name; none is a part of another.
        runs: Called one after the other, without gradients. Each runs the network or a part of it.
    """
    flow = Dataflow()
    for run in runs:
        watcher = _Watcher(flow)
        with ExitStack() as stack, torch.no_grad():
            for name, module in modules.items():
                for handle in watcher.attach(name, module):
                    stack.callback(handle.remove)
            stack.enter_context(watcher)
            # Held until the end, so that outputs are seen to be kept.
            flow.outputs.append(run())
        watcher.finish()
    return flow


class _Watcher(TorchDispatchMode):
    """Sees every operation of one run and which watched module it belongs to."""

    def __init__(self, flow: Dataflow) -> None:
        super().__init__()
        self.flow = flow
        self.active: list[str] = []
        # By storage, so that views count too. The entry of a freed tensor goes with it, because
        # another tensor may get its storage.
        self.alive: dict[int, Result] = {}
        self.references: list[tuple[weakref.ref, Result]] = []

    def attach(self, name: str, module: nn.Module) -> list[Any]:
        """Watch a module; return the handles that remove the hooks."""

        def before(_: nn.Module, args: tuple) -> None:
            given = self._result_of(args[0]) if args else None
            if given is not None:
                given.taken.append(name)
            self.active.append(name)

        def after(_: nn.Module, args: tuple, output: Any) -> None:
            self.active.pop()
            self._add(name, output)

        return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        reader = self.active[-1] if self.active else None
        for tensor in tensors((args, kwargs)):
            if result := self.alive.get(_storage(tensor)):
                result.readers.append(reader)
        return func(*args, **(kwargs or {}))

    def finish(self) -> None:
        """Note whose tensors still exist."""
        for reference, result in self.references:
            result.kept = reference() is not None

    def _add(self, name: str, output: Any) -> None:
        result = Result(name)
        self.flow.results.append(result)
        if not isinstance(output, torch.Tensor):
            result.kept = True
            return
        key = _storage(output)
        # A step that writes over its input returns the storage of another result.
        self.alive[key] = result

        def gone(_: weakref.ref) -> None:
            if self.alive.get(key) is result:
                del self.alive[key]

        self.references.append((weakref.ref(output, gone), result))

    def _result_of(self, value: Any) -> Result | None:
        """Return the result that is this value; views of a result do not count."""
        for reference, result in reversed(self.references):
            if isinstance(value, torch.Tensor) and reference() is value:
                return result
        return None


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata
