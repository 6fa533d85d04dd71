"""Pictures of predictions in the network's own classes, by mmseg's hook and visualizer."""

from collections.abc import Sequence
from typing import Any

from mmengine.runner import Runner
from mmseg.engine.hooks import SegVisualizationHook

from ibn_seg.engine.predictions import predicted_classes


class PredictionPicturesHook(SegVisualizationHook):
    """mmseg's hook, also for labels of other classes than the network's.

    mmseg names and colours predictions by the classes of the first data set. Here they have those
    of the network. Labels of other classes are not drawn beside them.
    """

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence = ()
    ) -> None:
        """Draw the predictions of a batch; before the first one, tell the visualizer the classes.

        Other hooks find them out before the test.
        """
        if batch_idx == 0 and (classes := predicted_classes(runner)):
            self._visualizer.dataset_meta = {
                "classes": list(classes.names), "palette": list(map(list, classes.palette))
            }  # fmt: skip
        shown = [_with_own_labels(runner, sample) for sample in outputs]
        super().after_test_iter(runner, batch_idx, data_batch, shown)


def _with_own_labels(runner: Runner, sample: Any) -> Any:
    """Return a sample without its label, if that is of other classes than the network's."""
    known = [one for one in runner.test_evaluator.metrics if hasattr(one, "network_classes")]
    mappings = [one.map_of(sample.get("target", one.domain)) for one in known]
    others = any(
        mapping is not None and tuple(mapping.groups) != one.network_classes
        for one, mapping in zip(known, mappings, strict=True)
    )
    if not others:
        return sample
    shown = sample.new()
    del shown.gt_sem_seg
    return shown
