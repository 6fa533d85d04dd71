"""Checks that a config says how images are normalised once, in the model."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import UserError, unknown
from ibn_seg.type_names import is_named, short_name

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

_KEY = "model.data_preprocessor"
_FIX = f"give {_KEY} = dict(type='SegDataPreProcessor', mean=..., std=..., bgr_to_rgb=True)"
# Classes whose `mean` and `std` come from the config alone, without defaults.
_KNOWN = ("SegDataPreProcessor", "AppearancePreProcessor", "ImgDataPreprocessor")
_STEP = "Normalize"
# The known classes that pad pictures in testing.
_PADDING = ("SegDataPreProcessor", "AppearancePreProcessor")
_MODES = ("whole", "slide")


def check_preprocessor(cfg: "Config") -> None:
    """Raise unless a config's normalisation is complete and its padding is possible.

    Args:
        cfg: A config with a model.

    Raises:
        UserError: A part is missing or stands where mmseg 1.x does not read it. Or pictures cannot
            be padded as configured.
    """
    given = cfg.model.get("data_preprocessor")
    name = cfg.filename or "config"
    if given is None:
        return
    if not isinstance(given, Mapping) or not given.get("type"):
        raise UserError(f"{name}: {_KEY}.type is missing", "write type='SegDataPreProcessor'")
    if is_named(given["type"], *_PADDING):
        _check_padding(given.get("test_cfg"), f"{name}: {_KEY}.test_cfg")
    if not is_named(given["type"], *_KNOWN):
        return
    for key, other in (("mean", "std"), ("std", "mean")):
        if given.get(key) is None and given.get(other) is not None:
            raise UserError(f"{name}: {_KEY} has {other} and no {key}", f"give {key} too")
    deviations = given.get("std")
    if isinstance(deviations, (list, tuple)) and 0 in deviations:
        raise UserError(
            f"{name}: {_KEY}.std={deviations} holds a 0",
            "give no 0, because images are divided by std",
        )
    old = cfg.get("img_norm_cfg")
    if given.get("mean") is None and old and not _steps(cfg):
        raise UserError(
            f"{name}: {_KEY} has no mean, and img_norm_cfg has no effect",
            f"move its values to {_KEY}",
        )


def check_segmentor(network: "nn.Module", cfg: "Config") -> None:
    """Raise unless a segmentor of mmseg has what it needs to take images.

    Other kinds of models are skipped.

    Args:
        network: The built model, without wrappers.
        cfg: The config that it was built from.

    Raises:
        UserError: It would get unprepared pictures, or has no valid mode of inference.
    """
    from mmengine.model import BaseDataPreprocessor
    from mmseg.models import BaseSegmentor

    from ibn_seg.foundation.head_maps import check_maps

    name = cfg.filename or "config"
    if not isinstance(network, BaseSegmentor):
        return
    check_maps(network)
    if type(network.data_preprocessor) is BaseDataPreprocessor:
        if cfg.get("data_preprocessor"):
            fix = "write model = dict(data_preprocessor=data_preprocessor, ...)"
        elif cfg.get("img_norm_cfg") or _steps(cfg):
            fix = f"mean, std and channel order of mmseg 0.x go there; {_FIX}"
        else:
            fix = _FIX
        raise UserError(f"{name}: {_KEY} is missing", fix)
    if hasattr(network, "encode_decode"):
        _check_mode(network, name)


def _check_mode(network: "nn.Module", name: str) -> None:
    """Raise `UserError` unless the mode of inference is known; a user's own class may add some."""
    from mmseg.models.segmentors import DepthEstimator

    mode = (network.test_cfg or {}).get("mode")
    if not mode:
        raise UserError(
            f"{name}: model.test_cfg.mode is missing", "give test_cfg=dict(mode='whole')"
        )
    modes = (*_MODES, "slide_flip") if isinstance(network, DepthEstimator) else _MODES
    own = not type(network).inference.__module__.startswith("mmseg.")
    if mode not in modes and not own:
        raise unknown("model.test_cfg.mode", mode, modes)


def _check_padding(given: Any, key: str) -> None:
    """Raise `UserError` unless a `test_cfg`'s padding is possible."""
    if given is None:
        return
    if not isinstance(given, Mapping):
        raise UserError(f"{key} is {given!r}", "give a dict, such as dict(size_divisor=32)")
    size, divisor = given.get("size"), given.get("size_divisor")
    if given and (size is None) == (divisor is None):
        which = "neither size nor" if size is None else "both size and"
        raise UserError(f"{key} has {which} size_divisor", "give one of the two")
    sides = size if isinstance(size, (list, tuple)) else ()
    if size is not None and not (len(sides) == 2 and all(type(n) is int for n in sides)):
        raise UserError(f"{key}.size={size!r}", "give two whole numbers, such as (512, 1024)")
    if divisor is not None and type(divisor) is not int:
        raise UserError(f"{key}.size_divisor={divisor!r}", "give a whole number, such as 32")


def check_one_normalisation(cfg: "Config", purpose: str) -> None:
    """Raise if a pipeline normalises pictures and the caller looks at the model alone.

    Args:
        cfg: A config with a model.
        purpose: The caller that does not see the pipeline, for the message.

    Raises:
        UserError: A pipeline normalises pictures.
    """
    for key in _steps(cfg):
        raise UserError(
            f"{cfg.filename or 'config'}: {key} is {_STEP}, which {purpose} leaves out",
            f"let {_KEY} alone normalise: move mean and std there",
        )


def channel_statistics(network: "nn.Module", cfg: "Config") -> tuple[list, list, bool]:
    """Return the mean and deviation that a segmentor normalises pictures in BGR order with.

    Args:
        network: A built segmentor.
        cfg: The config that it was built from.

    Returns:
        Mean and standard deviation of each channel of the network's input, 0 to 255, and whether
        these channels are RGB.

    Raises:
        UserError: The preprocessor is of an unknown class.
    """
    from mmengine.model import ImgDataPreprocessor
    from mmseg.models import SegDataPreProcessor

    found = network.data_preprocessor
    if not isinstance(found, (ImgDataPreprocessor, SegDataPreProcessor)):
        raise UserError(
            f"{cfg.filename or 'config'}: how {type(found).__name__} normalises is not known", _FIX
        )
    given = cfg.model.data_preprocessor
    mean, std = [0.0] * 3, [1.0] * 3
    if found._enable_normalize:
        # From the config where possible, because the network keeps rounded values.
        mean = given.get("mean") or found.mean.flatten().tolist()
        std = given.get("std") or found.std.flatten().tolist()
    # mmsegmentation 1.2 has another name for it.
    swapped = getattr(found, "_channel_conversion", None) or getattr(
        found, "channel_conversion", False
    )
    return mean, std, bool(swapped)


def _steps(cfg: "Config") -> list[str]:
    """Return the keys of the steps in a config's pipelines that normalise."""
    places = ("test_pipeline", "test_dataloader", "train_pipeline", "train_dataloader")
    return [key for place in places for key in _normalising(cfg.get(place), place)]


def _normalising(part: Any, key: str) -> Iterator[str]:
    if isinstance(part, Mapping):
        if short_name(part.get("type")) == _STEP:
            yield key
        for name, value in part.items():
            yield from _normalising(value, f"{key}.{name}")
    elif isinstance(part, (list, tuple)):
        for index, value in enumerate(part):
            yield from _normalising(value, f"{key}[{index}]")
