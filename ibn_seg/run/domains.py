"""Names and selects the domains of a config's test data before any data is read."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ibn_seg.errors import UserError, unknown
from ibn_seg.type_names import short_name

if TYPE_CHECKING:
    from mmengine.config import Config


def domain_configs(cfg: "Config") -> dict[str, dict[str, Any]]:
    """Return the config of each data set in `test_dataloader` by the name of its domain.

    Each config has its pipeline, and can be built alone.

    Args:
        cfg: A config; the components that it names are registered.

    Raises:
        UserError: Two data sets have one name.
    """
    given = cfg.test_dataloader.dataset
    shared = {key: given[key] for key in ("pipeline",) if given.get("datasets") and given.get(key)}
    found: dict[str, dict[str, Any]] = {}
    for part in given.get("datasets") or [given]:
        name = _name(part, cfg)
        if name in found:
            raise UserError(
                f"two data sets of test_dataloader are named {name!r}",
                "give each a name of its own by target='NAME'",
            )
        found[name] = {**shared, **part}
    return found


def keep_domains(cfg: "Config", names: Iterable[str]) -> None:
    """Keep only some of the domains in `test_dataloader`, in the config's order.

    Args:
        cfg: A config, changed in place.
        names: The domains to keep; an empty sequence keeps all.

    Raises:
        UserError: The config has no such domain.
    """
    names = list(names)
    if not names:
        return
    parts = domain_configs(cfg)
    for name in names:
        check_domain(name, parts)
    dataset = cfg.test_dataloader.dataset
    if dataset.get("datasets"):
        dataset["datasets"] = [part for name, part in parts.items() if name in names]


def check_domain(name: str, allowed: Iterable[str]) -> None:
    """Raise `UserError` for a domain that is not among the allowed ones."""
    allowed = list(allowed)
    if name not in allowed:
        raise unknown("domain", name, allowed)


def _name(part: Mapping[str, Any], cfg: "Config") -> str:
    """Return a data set's domain, as its samples or (for mmseg's own sets) the metric name it."""
    from mmseg.registry import DATASETS

    kind = part.get("type")
    known = DATASETS.get(kind) if isinstance(kind, str) else kind
    evaluator = cfg.get("test_evaluator")
    metric = evaluator.get("domain") if isinstance(evaluator, Mapping) else None
    return part.get("target") or getattr(known, "TARGET", "") or metric or short_name(kind)
