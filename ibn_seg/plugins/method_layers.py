"""Turn settings of a backbone in a config into layers of methods inside it."""

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from ibn_seg.errors import UserError, unknown
from ibn_seg.layers.semantic_stage import SemanticStage
from ibn_seg.layers.style.kinds import RANDOMISERS
from ibn_seg.layers.style.self_norm import SelfNorm
from ibn_seg.models.backbone import Backbone
from ibn_seg.models.places import add_self_norms, add_semantic_stages, randomise

_SEMANTIC_PLACES = ("end(1)", "end(2)")


def add_method_layers(
    network: Backbone,
    randomisers: Sequence[Mapping[str, Any]] | None,
    self_norm: Mapping[str, Any] | None,
    semantic: Mapping[str, Any] | None,
) -> None:
    """Put the layers of methods into a network.

    Args:
        network: The network, which is changed.
        randomisers: For each method that randomises features: `type`, `places`, and arguments.
        self_norm: Arguments of `SelfNorm`; None: there is none.
        semantic: `places` and arguments of `SemanticStage`; None: there is none.

    Raises:
        UserError: A type or argument is unknown, or the network does not have a place.
    """
    for given in _dicts("randomise", randomisers or ()):
        kind = given.pop("type", None)
        if kind not in RANDOMISERS:
            raise unknown("randomise type", kind, RANDOMISERS)
        places = given.pop("places", None)
        if isinstance(places, str) or not places:
            raise UserError(f"randomise: {kind} has places={places!r}", "give a list: ['end(1)']")
        _check("randomise", RANDOMISERS[kind], given)
        randomise(network, places, functools.partial(RANDOMISERS[kind], **given))
    if self_norm is not None:
        (given,) = _dicts("self_norm", [self_norm])
        _check("self_norm", SelfNorm, given)
        add_self_norms(network, **given)
    if semantic is not None:
        (given,) = _dicts("semantic", [semantic])
        places = given.pop("places", _SEMANTIC_PLACES)
        norm = {key: given[key] for key in ("regions", "own_branches", "eps") if key in given}
        _check("semantic", SemanticStage, {k: v for k, v in given.items() if k not in norm})
        add_semantic_stages(network, places, **given)


def _dicts(key: str, given: Any) -> list[dict[str, Any]]:
    """Return copies of the dicts of a setting."""
    if isinstance(given, Mapping | str) or not all(isinstance(item, Mapping) for item in given):
        raise UserError(f"model.backbone.{key} = {given!r}", "give a list of dict(type='...')")
    return [dict(item) for item in given]


def _check(key: str, kind: type[nn.Module], given: Mapping[str, Any]) -> None:
    """Raise if an argument is not one of the class's."""
    parameters = inspect.signature(kind).parameters.values()
    allowed = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    for name in given:
        if name not in allowed:
            raise unknown(f"argument of {kind.__name__} in model.backbone.{key}", name, allowed)
