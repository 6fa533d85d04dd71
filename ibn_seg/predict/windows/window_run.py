"""Runs a network on a window so that its inner part is as in a run on the whole picture."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ibn_seg.heap import return_freed_memory
from ibn_seg.predict.windows.cutting import PERIOD, Span, Window
from ibn_seg.predict.windows.part_resize import AxisResize, resize_part
from ibn_seg.predict.windows.whole_layers import Moments, WholeLayer, find_whole_layer

# Maps a normalised picture, shape (1, channels, H, W), to the head's logits before the resize.
Network = Callable[[torch.Tensor], torch.Tensor]
# Mean and variance of each channel of the whole map, shape (C,), float64.
Statistics = tuple[torch.Tensor, torch.Tensor]


class CannotCutError(Exception):
    """The network cannot run in windows; the text says why."""


class EnoughSeenError(Exception):
    """A run was stopped on purpose, because it has delivered its result."""


@dataclass(frozen=True)
class Scale:
    """The number of cells of a map's axis for any length of the picture.

    Attributes:
        base: Cells for a picture of `periods` periods plus the rest that all lengths share.
        periods: See `base`.
        growth: Additional cells per period of the picture.
    """

    base: int
    periods: int
    growth: int

    def whole(self, length: int) -> int:
        """Return the number of cells for a picture's axis of `length` pixels."""
        return self.base + (length // PERIOD - self.periods) * self.growth

    def cells(self, part: tuple[int, int], length: int) -> tuple[int, int]:
        """Return the first cell and the end of a part of a picture's axis.

        A map that does not grow, such as a mean of all pixels, is the same for every part.

        Args:
            part: Begin and end in pixels. Each is at a period or at the picture's border.
            length: Pixels of the picture's axis.
        """
        if self.growth == 0:
            return 0, self.base
        begin, end = part
        last = self.whole(length) if end == length else end // PERIOD * self.growth
        return begin // PERIOD * self.growth, last


# The scales of a map's rows and of its columns.
MapScale = tuple[Scale, Scale]


@dataclass(frozen=True)
class Call:
    """The scales of one call: a layer that sees the whole picture, or a resize.

    Attributes:
        before: The scales of its input.
        after: The scales of its result.
    """

    before: MapScale
    after: MapScale

    @property
    def grows(self) -> bool:
        """Whether larger pictures have larger inputs here."""
        return any(scale.growth > 0 for scale in self.before)


@dataclass(frozen=True)
class Plan:
    """A network's cut into windows, for all sizes with the same rest after whole periods.

    Attributes:
        calls: The calls that see the whole picture or resize, in order.
        margins: Pixels that a window needs around its inner part: one value for each layer that
            sees the whole picture and whose input grows with it, then one for the logits.
        logits: The scales of the logits.
    """

    calls: tuple[Call, ...]
    margins: tuple[int, ...]
    logits: MapScale


@dataclass(frozen=True)
class Place:
    """A window's place in a picture.

    Attributes:
        size: Height and width of the picture.
        window: The window.
    """

    size: tuple[int, int]
    window: Window

    def axes(self) -> Iterator[tuple[int, Span]]:
        """Yield the picture's length and the window's span of each axis."""
        yield self.size[0], self.window.rows
        yield self.size[1], self.window.columns

    def check(self, x: torch.Tensor, scales: MapScale) -> None:
        """Check that a map of the window has the cells that the whole map has there.

        Raises:
            CannotCutError: The map has more or fewer cells.
        """
        for here, scale, (length, span) in zip(x.shape[2:], scales, self.axes(), strict=True):
            first, last = scale.cells(span.outer, length)
            if here != last - first:
                raise CannotCutError("the maps of a window are not parts of the picture's maps")

    def inner(self, x: torch.Tensor, scales: MapScale) -> torch.Tensor:
        """Return the cells of a map of the window that belong to the window's inner part."""
        for dim, (scale, (length, span)) in enumerate(
            zip(scales, self.axes(), strict=True), start=2
        ):
            start, _ = scale.cells(span.outer, length)
            first, last = scale.cells(span.inner, length)
            x = x.narrow(dim, first - start, last - first)
        return x


class CallMode(TorchFunctionMode):
    """Runs the code in its block; subclasses run the calls that depend on the whole picture.

    Raises:
        CannotCutError: (in the block) A call samples its input at computed positions.
    """

    def __torch_function__(
        self,
        function: Callable,
        types: Any,
        args: tuple = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a function of PyTorch, by `run_layer` or `run_resize` if it is such a call."""
        if function is F.grid_sample:
            raise CannotCutError("it reads its maps at computed positions (grid_sample)")
        kwargs = kwargs or {}
        plain = functools.partial(function, *args, **kwargs)
        layer = find_whole_layer(function, args, kwargs)
        if layer is not None:
            return self.run_layer(layer, plain)
        resize = find_resize(function, args, kwargs)
        return plain() if resize is None else self.run_resize(resize, plain)

    def run_layer(self, layer: WholeLayer, plain: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Return the result of a layer that sees the whole picture; `plain` runs it as it is."""
        raise NotImplementedError

    def run_resize(
        self, resize: Mapping[str, Any], plain: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """Return the result of a resize with these arguments; `plain` runs it as it is."""
        raise NotImplementedError


class WindowMode(CallMode):
    """Runs the code in its block as on a window of a larger picture.

    Resizes use the coordinates of the whole maps. Layers that see the whole picture use its known
    statistics. At the first layer without known statistics, the inner part of its input is added to
    `moments`. The run then ends with `EnoughSeenError`.

    Args:
        calls: The calls of a run that see the whole picture or resize, in order.
        place: The window.
        known: The statistics of the first layers that see the whole picture.
        moments: Collects the statistics of the next one.

    Raises:
        CannotCutError: (in the block) The run has other calls than planned, or maps of other sizes.
    """

    def __init__(
        self, calls: Sequence[Call], place: Place, known: Sequence[Statistics], moments: Moments
    ) -> None:
        super().__init__()
        self._calls = iter(calls)
        self._place = place
        self._known = iter(known)
        self._moments = moments

    def run_layer(self, layer: WholeLayer, plain: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Compute a layer from its statistics over the whole picture.

        Raises:
            EnoughSeenError: They are not known; the window's share of them is in `moments`.
        """
        call = self._next_call()
        if not call.grows:
            return plain()
        self._place.check(layer.x, call.before)
        known = next(self._known, None)
        if known is not None:
            return layer.result(*known)
        self._moments.add(self._place.inner(layer.x, call.before))
        raise EnoughSeenError

    def run_resize(
        self, resize: Mapping[str, Any], plain: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """Compute a resize with the coordinates of the whole map."""
        call, x = self._next_call(), resize["input"]
        return_freed_memory()  # from the backbone, before the head makes large maps
        self._place.check(x, call.before)
        axes = []
        for before, after, (length, span) in zip(
            call.before, call.after, self._place.axes(), strict=True
        ):
            first_in, _ = before.cells(span.outer, length)
            first, last = after.cells(span.outer, length)
            sizes = before.whole(length), after.whole(length)
            axes.append(AxisResize(*sizes, first_in, first, last - first))
        return resize_part(x, *axes, resize["align_corners"])

    def _next_call(self) -> Call:
        call = next(self._calls, None)
        if call is None:
            raise CannotCutError("the network does not run alike on pictures of other sizes")
        return call


def find_resize(
    function: Callable, args: tuple, kwargs: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return the arguments of a resize whose coordinates depend on the whole map, else None."""
    if function is not F.interpolate:
        return None
    call = inspect.signature(function).bind(*args, **kwargs)
    call.apply_defaults()
    found = call.arguments
    by_size = found["size"] is not None or found["recompute_scale_factor"]
    depends = by_size or found["align_corners"]
    return found if found["mode"] == "bilinear" and depends else None


def run_windows(
    network: Network,
    read: Callable[[Window], torch.Tensor],
    size: tuple[int, int],
    plan: Plan,
    cut: Callable[[int], Sequence[Window]],
) -> torch.Tensor:
    """Return a picture's logits, computed by windows, shape (1, classes, h, w).

    Each layer that sees the whole picture, and whose input grows with it, takes one pass over the
    windows, up to that layer. A last pass computes the logits.

    Args:
        network: The network.
        read: Returns a window's pixels, with its margin, as the network's input.
        size: Height and width of the picture.
        plan: The network's cut.
        cut: Returns the windows for a margin.

    Raises:
        CannotCutError: A window did not run as planned.
    """
    known: list[Statistics] = []
    for margin in plan.margins[:-1]:
        moments = Moments()
        for window in cut(margin):
            with contextlib.suppress(EnoughSeenError):
                _run(network, read, Place(size, window), plan, known, moments)
        known.append(moments.result())
    logits = None
    for window in cut(plan.margins[-1]):
        place = Place(size, window)
        part = _run(network, read, place, plan, known, Moments())
        place.check(part, plan.logits)
        if logits is None:
            shape = (scale.whole(length) for scale, length in zip(plan.logits, size, strict=True))
            logits = part.new_empty((*part.shape[:2], *shape))
        rows, columns = (
            slice(*scale.cells(span.inner, length))
            for scale, (length, span) in zip(plan.logits, place.axes(), strict=True)
        )
        logits[:, :, rows, columns] = place.inner(part, plan.logits)
    return logits


def _run(
    network: Network,
    read: Callable[[Window], torch.Tensor],
    place: Place,
    plan: Plan,
    known: Sequence[Statistics],
    moments: Moments,
) -> torch.Tensor:
    return_freed_memory()  # left from the window before
    with WindowMode(plan.calls, place, known, moments):
        return network(read(place.window))
