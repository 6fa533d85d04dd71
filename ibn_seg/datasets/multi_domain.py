"""Several domains in one dataloader."""

from collections.abc import Callable, Sequence
from typing import Any

from mmengine.dataset import BaseDataset, ConcatDataset
from mmseg.registry import DATASETS

from ibn_seg.errors import UserError


@DATASETS.register_module()
class MultiDomainDataset(ConcatDataset):
    """Several domains in one dataloader, each told apart by its own data-set object.

    Args:
        datasets: Data sets, or their configs.
        pipeline: The pipeline for configs that give none. mmseg's inferencers read the pipeline for
            single pictures here.
        lazy_init: As in `mmengine.dataset.ConcatDataset`.
        ignore_keys: As in `mmengine.dataset.ConcatDataset`.

    Data sets for evaluation may have different classes. Then `metainfo` is that of the first, and
    its key `domain_classes` has the classes of every domain.

    Raises:
        UserError: Two data sets have the same domain name, so their scores would be pooled.
    """

    def __init__(
        self,
        datasets: Sequence[BaseDataset | dict],
        pipeline: Sequence[dict | Callable] | None = None,
        lazy_init: bool = False,
        ignore_keys: str | list[str] | None = None,
    ) -> None:
        shared = {} if pipeline is None else {"pipeline": pipeline}
        built = [
            DATASETS.build({**shared, **dataset}) if isinstance(dataset, dict) else dataset
            for dataset in datasets
        ]
        names = [getattr(dataset, "target", None) for dataset in built]
        for name in filter(None, names):
            if names.count(name) > 1:
                raise UserError(
                    f"{names.count(name)} data sets are named {name!r}",
                    "give each a name of its own by target='NAME'",
                )
        self._by_domain = _classes_by_domain(built)
        if self._by_domain:
            # mmengine would refuse them.
            given = [ignore_keys] if isinstance(ignore_keys, str) else ignore_keys or ()
            ignore_keys = [*given, "classes", "palette"]
        super().__init__(built, lazy_init=lazy_init, ignore_keys=ignore_keys)

    @property
    def metainfo(self) -> dict[str, Any]:
        """The first data set's; with `domain_classes` if classes differ."""
        more = {"domain_classes": dict(self._by_domain)} if self._by_domain else {}
        return {**super().metainfo, **more}


def _classes_by_domain(datasets: Sequence[BaseDataset]) -> dict[str, tuple[str, ...]]:
    """Return the classes by domain if they differ, else nothing."""
    classes = {
        getattr(dataset, "target", None) or type(dataset).__name__: tuple(names)
        for dataset in datasets
        if (names := dataset.metainfo.get("classes"))
    }
    return classes if len(set(classes.values())) > 1 else {}
