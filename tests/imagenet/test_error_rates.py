"""Error rates of logits whose ranks can be counted by hand."""

import pytest
import torch

pytest.importorskip("mmengine")

from ibn_seg.imagenet.classifier import ImageClassifier
from ibn_seg.imagenet.error_rates import ErrorRates, errors_by_appearance


class Decided(torch.nn.Module):
    """A network that rates the classes as it was told to, whatever it sees."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, pixels):
        return self.logits


def rates(logits, labels, appearances=("none",)):
    """Return the metrics of given logits."""
    logits = torch.as_tensor(logits)
    model = ImageClassifier("resnet18", logits.shape[1], appearances=appearances)
    model.backbone = Decided(logits)
    pictures = torch.zeros(len(logits), 3, 2, 2, dtype=torch.uint8)
    metric = ErrorRates()
    metric.dataset_meta = {"classes": tuple("abcdefghij"[: logits.shape[1]])}
    metric.process(None, model(pictures, torch.tensor(labels), mode="predict"))
    return metric.compute_metrics(metric.results)


def test_errors_count_the_pictures_whose_class_is_not_among_the_first():
    logits = [
        [9.0, 8, 7, 6, 5, 4, 3],  # class 0 is first
        [9.0, 8, 7, 6, 5, 4, 3],  # class 4 is fifth
        [9.0, 8, 7, 6, 5, 4, 3],  # class 5 is sixth
        [3.0, 4, 5, 6, 7, 8, 9],  # class 6 is first
        [3.0, 4, 5, 6, 7, 8, 9],  # class 0 is last
    ]
    metrics = rates(logits, [0, 4, 5, 6, 0])
    assert metrics == {"top1_error": pytest.approx(60.0), "top5_error": pytest.approx(40.0)}


def test_a_network_that_does_not_decide_is_wrong():
    undecided = torch.zeros(2, 7)
    assert rates(undecided, [0, 6]) == {"top1_error": 100.0, "top5_error": 100.0}
    broken = torch.full((2, 7), torch.nan)
    assert rates(broken, [0, 6]) == {"top1_error": 100.0, "top5_error": 100.0}


@pytest.mark.parametrize(("classes", "names"), [(4, {"top1_error"}),
                                                (5, {"top1_error", "top5_error"})])  # fmt: skip
def test_few_classes_have_no_top5_error(classes, names):
    metrics = rates(torch.eye(classes), list(range(classes)))
    assert set(metrics) == names
    assert not any(metrics.values())
    assert errors_by_appearance(metrics)["none"]["top5_error"] == (0.0 if classes == 5 else None)


def test_each_appearance_has_its_errors():
    metrics = rates(torch.eye(7), [0, 1, 2, 3, 4, 5, 0], ("std1.5", "none"))
    error = pytest.approx(100 / 7)
    assert errors_by_appearance(metrics) == {
        "none": {"top1_error": error, "top5_error": error},
        "std1.5": {"top1_error": error, "top5_error": error},
    }
