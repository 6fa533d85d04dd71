"""The metric that scores several domains in one pass over one dataloader."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log
from mmengine.registry import METRICS
from prettytable import PrettyTable

from ibn_seg.datasets.labels import NUM_CLASSES
from ibn_seg.errors import UserError
from ibn_seg.evaluation.confusion import DomainResult, confusion_matrix, scores
from ibn_seg.evaluation.protocols import class_set, get_protocol
from ibn_seg.evaluation.stored import ImageConfusions, image_names
from ibn_seg.provenance import source_domains


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
        collect_device: As in `mmengine.evaluator.BaseMetric`.
        collect_dir: As in `mmengine.evaluator.BaseMetric`.

    Raises:
        UserError: A sample has no `target` and `domain` is not given, or no pixel of a domain
            counts. Or a label holds a value that is neither a class nor ignored.
    """

    # Not None, so that mmengine neither warns of a missing prefix nor adds one.
    default_prefix = ""
    # For `LabelsOnlyHook`.
    needs_logits = False

    def __init__(
        self,
        source: str | None = None,
        domain: str | None = None,
        ignore_index: int = 255,
        protocol: str = "native",
        collect_device: str = "cpu",
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, collect_dir=collect_dir)
        self.source = source
        self.sources = source_domains(source)
        self.domain = domain
        self.ignore_index = ignore_index
        self.protocol = get_protocol(protocol)
        self.domain_results: dict[str, dict[str, Any]] = {}
        self.image_confusions: dict[str, ImageConfusions] = {}
        # The data roots, below which images are named; `RunRecordHook` knows them.
        self.roots: Sequence[str] = ()
        self._gap_missed = False

    def score_names(self, domains: Sequence[str | None]) -> list[str]:
        """Return the names of the scores for domains, without the scores of single classes.

        Args:
            domains: The `target` of each evaluated data set, or None for one without.
        """
        found = list(dict.fromkeys(name or self.domain for name in domains))
        targets = [name for name in found if name not in self.sources]
        names = [f"{name}/{score}" for name in found for score in ("mIoU", "mAcc", "aAcc")]
        if targets:
            names.append("targets/mIoU")
        if targets and self.sources and set(self.sources) <= set(found):
            names.append("gap")
        return names

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
        num_classes = len(self.dataset_meta["classes"])
        for sample in data_samples:
            domain = self._domain_of(sample)
            pred, label = sample["pred_sem_seg"]["data"], sample["gt_sem_seg"]["data"]
            confusion = confusion_matrix(pred, label, num_classes, self.ignore_index)
            self.results.append((domain, sample.get("img_path"), confusion))

    def compute_metrics(
        self, results: list[tuple[str, str | None, np.ndarray]]
    ) -> dict[str, float]:
        """Score every domain, print one table for each, and return the flat dictionary."""
        classes = self.dataset_meta["classes"]
        metrics: dict[str, float] = {}
        self.domain_results, self.image_confusions = {}, {}
        for domain in dict.fromkeys(name for name, *_ in results):
            paths, matrices = zip(*(rest for name, *rest in results if name == domain), strict=True)
            count = self.protocol.view(domain).classes
            scored = None if count == NUM_CLASSES else class_set(count)
            result = _domain_scores(domain, matrices, classes, scored)
            self.domain_results[domain] = result.to_dict()
            self.image_confusions[domain] = ImageConfusions(
                image_names(paths, self.roots), np.stack(matrices), scored
            )
            metrics |= {f"{domain}/{key}": getattr(result, key) for key in ("mIoU", "mAcc", "aAcc")}
            metrics |= {f"{domain}/IoU.{name}": iou for name, iou in result.IoU.items()}
            print_log(_table(domain, result, classes), logger="current")
        return metrics | self._means(metrics)

    def _means(self, metrics: dict[str, float]) -> dict[str, float]:
        """Return the mean over the targets and the gap, if they exist."""
        domains = list(self.domain_results)
        targets = [metrics[f"{domain}/mIoU"] for domain in domains if domain not in self.sources]
        means: dict[str, float] = {}
        if targets:
            means["targets/mIoU"] = float(np.mean(targets))
        missing = [source for source in self.sources if source not in domains]
        if missing:
            self._say_no_gap(missing[0], domains)
        elif self.sources and targets:
            sources = [metrics[f"{source}/mIoU"] for source in self.sources]
            means["gap"] = float(np.mean(sources)) - means["targets/mIoU"]
        return means

    def _say_no_gap(self, source: str, domains: Sequence[str]) -> None:
        """Say why there is no gap: only once on the console, also with several validations."""
        MMLogger.get_current_instance().info(
            f"no gap: source {source!r} is not among the evaluated domains ({', '.join(domains)})",
            extra={"notice": not self._gap_missed},
        )
        self._gap_missed = True


def _domain_scores(
    domain: str,
    matrices: Sequence[np.ndarray],
    classes: Sequence[str],
    scored: Sequence[str] | None,
) -> DomainResult:
    """Return the scores of one domain's summed matrices; its name leads any error."""
    try:
        return scores(np.sum(matrices, axis=0), classes, len(matrices), scored)
    except UserError as error:
        raise UserError(f"domain {domain!r}: {error.line}") from error


def _table(domain: str, result: DomainResult, classes: Sequence[str]) -> str:
    """Return the printed table of one domain; numbers are rounded here and nowhere else."""
    table = PrettyTable(["class", "IoU", "Acc"], align="r")
    table.align["class"] = "l"
    for name in classes:
        values = (scored.get(name) for scored in (result.IoU, result.Acc))
        table.add_row([name, *("-" if value is None else f"{value:.2f}" for value in values)])
    lines = [
        f"{domain}, {result.images} images: mIoU {result.mIoU:.2f}, mAcc {result.mAcc:.2f}, "
        f"aAcc {result.aAcc:.2f} (percent)",
        table.get_string(),
    ]
    if result.absent:
        lines.append(f"absent, not in the mean: {', '.join(result.absent)}")
    if result.unlabelled:
        lines.append(
            f"predicted but in no label, IoU 0 in the mean: {', '.join(result.unlabelled)}"
        )
    return "\n".join(lines)
