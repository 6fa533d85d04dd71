"""Finds how to run a network in windows, by running it on pictures of noise."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ibn_seg.predict.windows.cutting import PERIOD, spans, windows
from ibn_seg.predict.windows.whole_layers import WholeLayer
from ibn_seg.predict.windows.window_run import (
    Call,
    CallMode,
    CannotCutError,
    MapScale,
    Network,
    Plan,
    Scale,
    run_windows,
)

# Sides in periods, of small pictures and of long ones (1024 to 4096 pixels).
_SMALL = (2, 3, 4)
_LONG = (16, 32, 64)
# The largest allowed difference between windowed and whole logits, in standard deviations over
# pixels.
_TOLERANCE = 1e-3
_UNLIKE = "it does not run alike on pictures of other sizes"


@dataclass(frozen=True)
class _Seen:
    """A run's observation of a call, or of the logits.

    Attributes:
        before: Height and width of the input.
        after: Height and width of the result.
        lost: Which rows and columns of the input have a NaN, shapes (h,) and (w,).
        whole: Whether the call sees the whole picture.
    """

    before: tuple[int, int]
    after: tuple[int, int]
    lost: tuple[torch.Tensor, torch.Tensor]
    whole: bool


def make_plan(network: Network, noise: Callable[[int, int], torch.Tensor], rest: tuple) -> Plan:
    """Find out how to cut a network into windows, and compare them with whole pictures.

    Args:
        network: Maps a picture, shape (1, channels, H, W), to logits.
        noise: Returns a noise picture for a height and a width in pixels.
        rest: Height and width of the pictures, modulo `PERIOD`.

    Raises:
        CannotCutError: The network cannot be cut, or its windows would give different logits.
        RuntimeError: (from PyTorch, as `ValueError`) The small pictures are too small for it.
    """

    def picture(rows: int, columns: int) -> torch.Tensor:
        return noise(rows * PERIOD + rest[0], columns * PERIOD + rest[1])

    calls, layers = _calls(network, picture)
    reach = _reaches(network, picture, {i: calls[i].before for i in layers})
    # A resize by a fraction may read one cell further in a larger picture.
    more = [any(rest) and resized for resized in layers.values()]
    margins = tuple(PERIOD * (far + one) for far, one in zip(reach, more, strict=True))
    plan = Plan(tuple(calls[:-1]), margins, calls[-1].before)
    # TF32's rounding could look like a difference.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        _check(network, picture, plan)
    return plan


class _ProbeMode(CallMode):
    """Records calls that see the whole picture or resize. The former do not spread NaN."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[_Seen] = []

    def run_layer(self, layer: WholeLayer, plain: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Record a layer, and compute it with mean 0 and variance 1."""
        channels = layer.x.shape[1]
        none, one = (layer.x.new_full((channels,), n, dtype=torch.float64) for n in (0, 1))
        result = layer.result(none, one)
        self.note(layer.x, result, whole=True)
        return result

    def run_resize(
        self, resize: Mapping[str, Any], plain: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """Record a resize, and run it as it is."""
        result = plain()
        self.note(resize["input"], result)
        return result

    def note(self, x: torch.Tensor, result: torch.Tensor, whole: bool = False) -> None:
        """Record a map of the run, and its result."""
        nan = x.isnan().any(1)[0]
        after = tuple(result.shape[2:]) or (1, 1)
        self.seen.append(_Seen(tuple(x.shape[2:]), after, (nan.any(1), nan.any(0)), whole))


def _probe(network: Network, picture: torch.Tensor) -> list[_Seen]:
    """Return the observations of a run's calls, with the logits last."""
    mode = _ProbeMode()
    with mode:
        logits = network(picture)
    mode.note(logits, logits)
    return mode.seen


def _calls(
    network: Network, picture: Callable[[int, int], torch.Tensor]
) -> tuple[list[Call], dict[int, bool]]:
    """Return the scales of a network's calls and the calls that need a margin.

    Returns:
        The calls, with the logits last. And the numbers of the calls that need their own margin,
        each with whether a resize comes before it.
    """
    runs = [_probe(network, picture(side, side)) for side in _SMALL]
    if len({len(run) for run in runs}) > 1:
        raise CannotCutError(_UNLIKE)
    seen = list(zip(*runs, strict=True))
    calls = [
        Call(_scales([s.before for s in each]), _scales([s.after for s in each])) for each in seen
    ]
    if any(scale.growth < 1 for scale in calls[-1].before):
        raise CannotCutError("its logits do not grow with the picture")
    first = next((i for i, each in enumerate(seen) if not each[0].whole), len(seen))
    layers = [i for i, each in enumerate(seen) if each[0].whole and calls[i].grows]
    return calls, {i: i > first for i in [*layers, len(calls) - 1]}


def _scales(sizes: Sequence[tuple[int, int]]) -> MapScale:
    """Return the scales of a map from its sizes for the small pictures."""
    scales = []
    for cells in zip(*sizes, strict=True):
        growth = {after - before for before, after in itertools.pairwise(cells)}
        if len(growth) > 1:
            raise CannotCutError(f"{PERIOD} pixels are not a whole number of its cells")
        scales.append(Scale(cells[0], _SMALL[0], growth.pop()))
    return tuple(scales)


def _reaches(
    network: Network,
    picture: Callable[[int, int], torch.Tensor],
    layers: Mapping[int, MapScale],
) -> list[int]:
    """Return how many periods around a window affect its part of some calls' inputs.

    Args:
        network: The network.
        picture: Returns a picture for its periods from top to bottom and from left to right.
        layers: The numbers of the calls, with the scales of their inputs.

    Raises:
        CannotCutError: More than half of the longest picture affects it.
    """
    for periods in _LONG:
        reach = [0] * len(layers)
        for axis, end in itertools.product((0, 1), (False, True)):
            found = _reach(network, picture, layers, periods, axis, end)
            reach = [max(pair) for pair in zip(reach, found, strict=True)]
        if max(reach) <= periods // 2:
            return reach
    raise CannotCutError("each of its labels depends on pixels everywhere")


def _reach(
    network: Network,
    picture: Callable[[int, int], torch.Tensor],
    layers: Mapping[int, MapScale],
    periods: int,
    axis: int,
    end: bool,
) -> list[int]:
    """Return how many periods NaN spreads from an end of a long picture, in calls' inputs."""
    shape = (periods, _SMALL[0]) if axis == 0 else (_SMALL[0], periods)
    x = picture(*shape)
    dim, cut = axis + 2, (periods - 1) * PERIOD if end else PERIOD
    strip = (cut, x.shape[dim] - cut) if end else (0, cut)
    x.narrow(dim, *strip).fill_(torch.nan)
    seen = _probe(network, x)
    reach = []
    for number, scales in layers.items():
        lost = seen[number].lost[axis].nonzero()[:, 0].tolist()
        growth = scales[axis].growth
        if not lost or growth == 0:
            reach.append(0)
            continue
        border = cut // PERIOD * growth
        cells = border - lost[0] if end else lost[-1] + 1 - border
        reach.append(max(0, -(-cells // growth)))
    return reach


def _check(network: Network, picture: Callable[[int, int], torch.Tensor], plan: Plan) -> None:
    """Compare windows with the whole on two long pictures.

    Raises:
        CannotCutError: Their logits differ by more than rounding.
    """
    long = 3 * max(1, plan.margins[-1] // PERIOD)
    for shape, parts in (((long, _SMALL[0]), (3, 1)), ((_SMALL[0], long), (1, 3))):
        x = picture(*shape)
        size = tuple(x.shape[2:])
        found = run_windows(
            network,
            lambda window, x=x: x[:, :, slice(*window.rows.outer), slice(*window.columns.outer)],
            size,
            plan,
            lambda margin, size=size, parts=parts: windows(
                *(spans(n, count, margin) for n, count in zip(size, parts, strict=True))
            ),
        )
        expected = network(x)
        spread = (expected - expected.mean((2, 3), keepdim=True)).std()
        # The comparison fails for NaN.
        if not (found - expected).abs().max() <= _TOLERANCE * spread:
            raise CannotCutError("the logits of its windows are not those of the whole picture")
