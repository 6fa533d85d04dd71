"""The metric that scores several domains in one pass over one dataloader."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log
from mmengine.registry import METRICS

from ibn_seg.datasets.class_map import ClassMap, identity
from ibn_seg.datasets.class_space import ClassSpace, made_palette
from ibn_seg.datasets.known_classes import SPACES, map_of
from ibn_seg.errors import UserError, unknown
from ibn_seg.evaluation.confusion import DomainResult, confusion_matrix, group_matrix, scores
from ibn_seg.evaluation.protocols import class_set, get_protocol
from ibn_seg.evaluation.score_table import score_table
from ibn_seg.evaluation.soft_merge import logits_of, soft_merge
from ibn_seg.evaluation.stored import ImageConfusions, image_names
from ibn_seg.provenance import source_domains

MERGES = ("hard", "soft")


@METRICS.register_module()
class MultiDomainIoU(BaseMetric):
    """mIoU, mAcc, aAcc and per-class IoU of every domain, their mean and the gap to the source.

    `target` in a sample's metainfo tells domains apart. The data-set object sets it, and
    `PackSegInputs(meta_keys=(..., 'target'))` passes it on. `MultiDomainDataset` or mmengine's
    `ConcatDataset` puts several data sets into one dataloader. Scores follow Cityscapes' official
    evaluation, see `ibn_seg.evaluation.confusion.scores`.

    The returned values are unrounded percentages (0..100): `DOMAIN/mIoU`, `DOMAIN/mAcc`,
    `DOMAIN/aAcc`, `DOMAIN/IoU.CLASS` (without absent classes), `targets/mIoU` and `gap`.
    `targets/mIoU` is the unweighted mean over the domains other than the sources, if there are any.
    `gap` is the mean mIoU of the sources minus `targets/mIoU`, if all exist.

    Labels may have other classes than the network. Then a map gives each class of the network a
    group of the labels (`ibn_seg.datasets.class_map`), and the scores are over the groups. Scores
    over different classes are never averaged or subtracted. If all targets have the same groups,
    the gap is to the sources' scores over these groups.

    `domain_results` has the same per domain, with the confusion matrix. `image_confusions` has the
    matrix of every image in the data set's order. Both are empty on all ranks but the first.

    Args:
        source: The name of the source domain, or several joined by '+'. With None every domain is a
            target.
        domain: The name for samples without `target`, as from mmseg's own data sets. None makes
            such a sample an error.
        ignore_index: The label of pixels that do not count.
        protocol: Name of the evaluation protocol. It sets the classes in the means of a domain.
            `ProtocolView` brings the images to its sizes.
        classes: The names of the network's classes. Default: those of the checkpoint or of the
            training data (`RunRecordHook` sets them), else those of the evaluated data.
        maps: For domains with other classes, the map: a file or the keys `groups` and `none`. The
            key '*' is for all others. Default: the maps of `ibn_seg.datasets.known_classes`.
        merge: 'hard': the group of the most probable class is predicted. 'soft': the group with the
            largest sum of probabilities, as in MSeg (Lambert et al., CVPR 2020); it needs logits.
            Both are the same where no group has several classes and every class has a group.
        collect_device: As in `mmengine.evaluator.BaseMetric`.
        collect_dir: As in `mmengine.evaluator.BaseMetric`.

    Raises:
        UserError: A sample has no `target` and `domain` is not given, or no pixel of a domain
            counts. Or a label holds a value that is neither a class nor ignored.
    """

    # Not None, so that mmengine neither warns of a missing prefix nor adds one.
    default_prefix = ""

    @property
    def needs_logits(self) -> bool:
        """Whether samples must have logits; `LabelsOnlyHook` reads it."""
        return self.merge == "soft"

    def __init__(
        self,
        source: str | None = None,
        domain: str | None = None,
        ignore_index: int = 255,
        protocol: str = "native",
        classes: Sequence[str] | None = None,
        maps: Mapping[str, Any] | None = None,
        merge: str = "hard",
        collect_device: str = "cpu",
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, collect_dir=collect_dir)
        self.source = source
        self.sources = source_domains(source)
        self.domain = domain
        self.ignore_index = ignore_index
        self.protocol = get_protocol(protocol)
        self.classes = None if classes is None else tuple(classes)
        # The classes of the weights, where `classes` does not say; `RunRecordHook` knows them.
        self.trained_classes: Sequence[str] | None = None
        self.maps = dict(maps or {})
        if merge not in MERGES:
            raise unknown("merge of MultiDomainIoU", merge, MERGES)
        self.merge = merge
        self._known_maps: dict[tuple, ClassMap | None] = {}
        self.domain_results: dict[str, dict[str, Any]] = {}
        self.image_confusions: dict[str, ImageConfusions] = {}
        # The data roots, below which images are named; `RunRecordHook` knows them.
        self.roots: Sequence[str] = ()
        self._said: set[str] = set()

    def score_names(self, domains: Sequence[str | None]) -> list[str]:
        """Return the names of the scores for domains, without the scores of single classes.

        Args:
            domains: The `target` of each evaluated data set, or None for one without.
        """
        found = list(dict.fromkeys(name or self.domain for name in domains))
        targets = [name for name in found if name not in self.sources]
        names = [f"{name}/{score}" for name in found for score in ("mIoU", "mAcc", "aAcc")]
        if targets and not self._differ(targets):
            names.append("targets/mIoU")
        if (
            targets
            and not self._differ(targets)
            and self.sources
            and set(self.sources) <= set(found)
        ):
            names.append("gap")
        return names

    def _differ(self, domains: Sequence[str | None]) -> bool:
        """Tell whether domains are scored over different classes."""
        by_domain = (self.dataset_meta or {}).get("domain_classes") or {}
        return len({by_domain.get(domain) for domain in domains}) > 1

    def check_sample(self, sample: Any) -> None:
        """Check a sample of the data set before the network predicts anything.

        Args:
            sample: mmseg's `SegDataSample`.

        Raises:
            UserError: It does not name its domain, or has no ground truth.
        """
        self._domain_of({**dict.fromkeys(sample.all_keys()), **sample.metainfo})

    def _domain_of(self, sample: Mapping[str, Any]) -> str:
        """Return the domain of a sample."""
        domain = sample.get("target", self.domain)
        if domain is None:
            raise UserError(
                "a sample does not say which domain it is from ('target' is missing)",
                "add 'target' to meta_keys of PackSegInputs, or name the domain of a data set "
                "of mmseg's own by MultiDomainIoU(domain='NAME')",
            )
        if "gt_sem_seg" not in sample:
            raise UserError(
                f"a sample of {domain!r} has no ground truth",
                "add LoadUrbanLabels to the pipeline",
            )
        return domain

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Append (domain, file of the image, confusion matrix) for each sample.

        With one entry per sample, mmengine can drop the padding of a distributed sampler.

        Args:
            data_batch: Not used.
            data_samples: Per image `pred_sem_seg.data` and `gt_sem_seg.data`, both (1, H, W), and
                `target`. `img_path` names the image if there is one.
        """
        for sample in data_samples:
            domain = self._domain_of(sample)
            pred, label = sample["pred_sem_seg"]["data"], sample["gt_sem_seg"]["data"]
            mapping = self.map_of(domain) if self.merge == "soft" else None
            # A network of one output has a threshold of its own, which a sum would not know.
            if mapping is not None and mapping.merges:
                pred = soft_merge(logits_of(sample), mapping)[None]
            self.results.append((domain, sample.get("img_path"), self.count(domain, pred, label)))

    def count(self, domain: str, pred: Any, label: Any) -> np.ndarray:
        """Return the counts of one image: (C, C), or (G + 1, C) for labels of other classes.

        Raises:
            UserError: A value is no class, or no map to the domain's classes is known.
        """
        mapping, classes = self.map_of(domain), len(self.network_classes)
        if mapping is None:
            return confusion_matrix(pred, label, classes, self.ignore_index)
        return group_matrix(pred, label, len(mapping.groups), classes, self.ignore_index)

    @property
    def network_classes(self) -> tuple[str, ...]:
        """The names of the classes that the network predicts."""
        return tuple(self.classes or self.trained_classes or self.dataset_meta["classes"])

    def check_maps(self, domains: Iterable[str | None]) -> None:
        """Check, before anything is predicted, that the classes of domains can be scored.

        Args:
            domains: The `target` of each evaluated data set, or None for one without.

        Raises:
            UserError: No map to the classes of one is given or known.
        """
        for domain in domains:
            if domain or self.domain:
                self.map_of(domain or self.domain)

    def map_of(self, domain: str) -> ClassMap | None:
        """Return the map to a domain's classes; None if they are the network's.

        Raises:
            UserError: No map is given or known.
        """
        key = domain, self.network_classes
        if key not in self._known_maps:
            by_domain = self.dataset_meta.get("domain_classes") or {}
            theirs = tuple(by_domain.get(domain) or self.dataset_meta["classes"])
            given = self.maps.get(domain, self.maps.get("*"))
            view = self.protocol.view(domain)
            if given is None and theirs == self.network_classes:
                # Only a map keeps the row of void labels.
                found = identity(theirs) if view.void_counts else None
            else:
                found = map_of(given, self.network_classes, _space(domain, theirs))
            if view.classes is not None and not set(class_set(view.classes)) <= set(theirs):
                raise UserError(
                    f"protocol {self.protocol.name!r} scores {view.classes} classes of Cityscapes, "
                    f"and the labels of {domain!r} have others",
                    "choose the protocol 'native'",
                )
            self._known_maps[key] = found
        return self._known_maps[key]

    def compute_metrics(
        self, results: list[tuple[str, str | None, np.ndarray]]
    ) -> dict[str, float]:
        """Score every domain, print one table for each, and return the flat dictionary."""
        return self.score(results, lambda table: print_log(table, logger="current"))

    def score(
        self,
        results: list[tuple[str, str | None, np.ndarray]],
        show: Callable[[str], None] | None = None,
    ) -> dict[str, float]:
        """Score every domain and return the flat dictionary.

        Args:
            results: Domain, file of the image and counts, as `process` appends them.
            show: Gets the table of each domain, as text. Default: none is made.
        """
        metrics: dict[str, float] = {}
        self.domain_results, self.image_confusions = {}, {}
        for domain in dict.fromkeys(name for name, *_ in results):
            paths, matrices = zip(*(rest for name, *rest in results if name == domain), strict=True)
            view = self.protocol.view(domain)
            images = ImageConfusions(
                image_names(paths, self.roots),
                np.stack(matrices),
                None if view.classes is None else class_set(view.classes),
                self.map_of(domain),
            )
            result = _domain_scores(domain, images, self.network_classes, view.void_counts)
            self.domain_results[domain] = result.to_dict()
            self.image_confusions[domain] = images
            metrics |= {f"{domain}/{key}": getattr(result, key) for key in ("mIoU", "mAcc", "aAcc")}
            metrics |= {f"{domain}/IoU.{name}": iou for name, iou in result.IoU.items()}
            if show is not None:
                show(score_table(domain, result, self._names(domain)))
        return metrics | self._means(metrics)

    def _means(self, metrics: dict[str, float]) -> dict[str, float]:
        """Return the mean over the targets and the gap, if they exist."""
        domains = list(self.domain_results)
        targets = [domain for domain in domains if domain not in self.sources]
        over = {self._names(name) for name in targets}
        if len(over) > 1:
            sizes = ", ".join(f"{n}: {len(self.domain_results[n]['IoU'])}" for n in targets)
            self._say_once("mean", f"no mean over targets: their classes differ ({sizes})")
            return {}
        if not targets:
            return {}
        means = {"targets/mIoU": float(np.mean([metrics[f"{name}/mIoU"] for name in targets]))}
        missing = [source for source in self.sources if source not in domains]
        if missing:
            self._say_once(
                "gap",
                f"no gap: source {missing[0]!r} is not among the evaluated domains "
                f"({', '.join(domains)})",
            )
        elif self.sources:
            sources = [self._source_score(source, targets[0]) for source in self.sources]
            if None not in sources:
                means["gap"] = float(np.mean(sources)) - means["targets/mIoU"]
        return means

    def _names(self, domain: str) -> tuple[str, ...]:
        """Return the names of the classes over which a domain is scored."""
        return self.image_confusions[domain].class_names(self.network_classes)

    def _source_score(self, source: str, target: str) -> float | None:
        """Return the mIoU of a source over the classes of a target, percent; None if it has none.

        Labels of a source in the network's classes are merged as its predictions are.
        """
        mapping = self.map_of(target)
        images = self.image_confusions[source]
        names = [
            self.image_confusions[n].class_names(self.network_classes) for n in (source, target)
        ]
        if names[0] == names[1]:
            return self.domain_results[source]["mIoU"]
        if mapping is None or images.mapping is not None:
            self._say_once("gap", f"no gap: {source} and {target} are scored over other classes")
            return None
        merged = mapping.merge_columns(mapping.merge_labels(images.counts.sum(axis=0)))
        score = scores(merged[:-1], mapping.groups, len(images.images)).mIoU
        self._say_once(
            "gap",
            f"the gap is over the {len(mapping.groups)} classes of {target}: {source} has "
            f"mIoU {score:.2f} there",
        )
        return score

    def _say_once(self, kind: str, line: str) -> None:
        """Log a line: only once on the console, also with several validations."""
        MMLogger.get_current_instance().info(line, extra={"notice": kind not in self._said})
        self._said.add(kind)


def _space(domain: str, classes: tuple[str, ...]) -> ClassSpace:
    """Return the space of a domain's classes: the known one of these names, else one without."""
    for space in SPACES.values():
        if space.classes == classes:
            return space
    return ClassSpace(domain, classes, made_palette(len(classes)))


def _domain_scores(
    domain: str, images: ImageConfusions, classes: tuple[str, ...], void_counts: bool
) -> DomainResult:
    """Return the scores of one domain's summed matrices; its name leads any error."""
    counts, mapping = images.counts.sum(axis=0), images.mapping
    merged = counts if mapping is None else mapping.merge_columns(counts)
    void = merged[-1] if void_counts and mapping is not None else None
    square = merged if mapping is None else merged[:-1]
    try:
        found = scores(square, images.class_names(classes), len(images.images), images.scored, void)
    except UserError as error:
        raise UserError(f"domain {domain!r}: {error.line}") from error
    if mapping is None:
        return found
    return dataclasses.replace(
        found,
        confusion=counts.tolist(),
        classes=list(classes),
        mapping=mapping.to_dict(),
        no_group=float(100 * square[:, -1].sum() / square.sum()),
    )
