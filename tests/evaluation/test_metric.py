import json
import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.structures import BaseDataElement, PixelData

from ibn_seg.datasets.labels import CLASSES
from ibn_seg.errors import UserError
from ibn_seg.evaluation.confusion import confusion_matrix, scores
from ibn_seg.evaluation.metric import MultiDomainIoU
from ibn_seg.evaluation.protocols import class_set
from ibn_seg.evaluation.stored import read_confusions
from tests.helpers import random_train_ids

ROOT = Path(__file__).resolve().parents[2]


def make_sample(
    seed: int, target: str | None, wrong: float = 0.3, path: str | None = None
) -> BaseDataElement:
    """Return a data sample as a segmentor leaves it, with a share of wrong pixels."""
    rng = np.random.default_rng(seed)
    label = random_train_ids(rng, (40, 24), block=4)
    prediction = np.where(rng.random(label.shape) < wrong, rng.integers(0, 19, label.shape), label)
    prediction[label == 255] = 3
    sample = BaseDataElement(metainfo={} if target is None else {"target": target})
    if path is not None:
        sample.set_metainfo({"img_path": path})
    sample.gt_sem_seg = PixelData(data=torch.from_numpy(label.astype(np.int64))[None])
    sample.pred_sem_seg = PixelData(data=torch.from_numpy(prediction.astype(np.int64))[None])
    return sample


def evaluate(samples, **settings):
    """Run samples through mmengine's evaluator and return its metrics and the metric."""
    evaluator = Evaluator({"type": "MultiDomainIoU", **settings})
    evaluator.dataset_meta = {"classes": CLASSES}
    for sample in samples:
        evaluator.process([sample])
    return evaluator.evaluate(len(samples)), evaluator.metrics[0]


def confusion_of(sample):
    """Return the confusion matrix of one sample, without the metric."""
    return confusion_matrix(sample.pred_sem_seg.data, sample.gt_sem_seg.data, 19)


def expected(samples):
    """Return the scores of all samples together, without the metric."""
    label, prediction = (
        torch.cat([getattr(s, name).data.flatten() for s in samples])
        for name in ("gt_sem_seg", "pred_sem_seg")
    )
    return scores(confusion_matrix(prediction, label, 19), CLASSES, len(samples))


@pytest.fixture(scope="module")
def samples():
    source = [make_sample(i, "gta5", 0.2) for i in range(3)]
    targets = [make_sample(i, "cityscapes", 0.5) for i in range(10, 12)]
    return [*source, *targets, make_sample(20, "acdc", 0.8)]


def test_domains_are_scored_on_their_own(samples):
    metrics, metric = evaluate(samples, source="gta5")
    for domain in ("gta5", "cityscapes", "acdc"):
        result = expected([s for s in samples if s.target == domain])
        assert metric.domain_results[domain] == result.to_dict()
        for key in ("mIoU", "mAcc", "aAcc"):
            assert metrics[f"{domain}/{key}"] == getattr(result, key)
        for name, iou in result.IoU.items():
            assert metrics[f"{domain}/IoU.{name}"] == iou
    mean = (metrics["cityscapes/mIoU"] + metrics["acdc/mIoU"]) / 2
    assert metrics["targets/mIoU"] == pytest.approx(mean, abs=1e-12)
    assert metrics["gap"] == metrics["gta5/mIoU"] - metrics["targets/mIoU"]
    json.dumps(metric.domain_results, allow_nan=False)


def test_numbers_are_not_rounded(samples):
    metrics, _ = evaluate(samples, source="gta5")
    assert all(type(value) is float for value in metrics.values())
    assert metrics["gta5/mIoU"] != round(metrics["gta5/mIoU"], 6)


def test_domains_need_not_come_in_order(samples):
    mixed = [samples[i] for i in (5, 0, 3, 1, 4, 2)]
    assert evaluate(mixed, source="gta5")[0] == evaluate(samples, source="gta5")[0]


def test_means_exist_only_where_they_mean_something(samples):
    source, targets = samples[:3], samples[3:]
    assert "gap" not in evaluate(samples)[0]
    metrics, _ = evaluate(targets, source="gta5")
    assert "targets/mIoU" in metrics
    assert "gap" not in metrics
    metrics, _ = evaluate(source, source="gta5")
    assert "targets/mIoU" not in metrics
    assert "gap" not in metrics


def test_the_gap_of_several_sources_is_from_their_mean(samples):
    metrics, _ = evaluate(samples, source="gta5+acdc")
    assert metrics["targets/mIoU"] == metrics["cityscapes/mIoU"]
    mean = (metrics["gta5/mIoU"] + metrics["acdc/mIoU"]) / 2
    assert metrics["gap"] == pytest.approx(mean - metrics["cityscapes/mIoU"], abs=1e-12)
    assert "gap" not in evaluate(samples, source="gta5+synthia")[0]


def test_evaluating_again_starts_afresh(samples):
    evaluator = Evaluator({"type": "MultiDomainIoU"})
    evaluator.dataset_meta = {"classes": CLASSES}
    evaluator.process(samples)
    evaluator.evaluate(len(samples))
    evaluator.process(samples[:3])
    metrics = evaluator.evaluate(3)
    assert metrics["gta5/mIoU"] == expected(samples[:3]).mIoU
    assert set(evaluator.metrics[0].domain_results) == {"gta5"}


def test_every_image_keeps_its_matrix(samples):
    mixed = [samples[i] for i in (5, 0, 3, 1, 4, 2)]
    _, metric = evaluate(mixed, source="gta5")
    assert list(metric.image_confusions) == ["acdc", "gta5", "cityscapes"]
    for domain, found in metric.image_confusions.items():
        wanted = [confusion_of(s) for s in mixed if s.target == domain]
        assert np.array_equal(found.counts, wanted)
        assert found.images == tuple(f"#{at}" for at in range(len(wanted)))
        assert found.scored is None
        assert found.counts.sum(axis=0).tolist() == metric.domain_results[domain]["confusion"]


@settings(deadline=None, max_examples=10)
@given(st.permutations(range(6)), st.lists(st.integers(1, 6), min_size=6, max_size=6))
def test_order_and_batches_never_matter(samples, order, sizes):
    evaluator = Evaluator({"type": "MultiDomainIoU", "source": "gta5"})
    evaluator.dataset_meta = {"classes": CLASSES}
    rest = [samples[at] for at in order]
    for size in sizes:
        if rest:
            evaluator.process(rest[:size])
            rest = rest[size:]
    assert evaluator.evaluate(6) == evaluate(samples, source="gta5")[0]


def test_images_are_named_below_the_data_roots():
    metric = MultiDomainIoU()
    metric.dataset_meta = {"classes": CLASSES}
    metric.roots = ["/data", "/data/mine"]
    paths = ["/data/mine/val/b/2.png", "/data/mine/val/a/1.png"]
    metric.process(None, [make_sample(0, "mine", path=path).to_dict() for path in paths])
    metric.evaluate(2)
    assert metric.image_confusions["mine"].images == ("val/b/2.png", "val/a/1.png")


def test_scored_classes_are_kept_with_the_matrices(samples):
    _, metric = evaluate(samples, protocol="synthia13")
    assert metric.image_confusions["gta5"].scored == class_set(13)


def test_sample_without_domain():
    with pytest.raises(UserError, match="'target' to meta_keys of PackSegInputs"):
        evaluate([make_sample(0, None)])
    metrics, _ = evaluate([make_sample(0, None)], domain="mine")
    assert metrics["mine/mIoU"] == expected([make_sample(0, None)]).mIoU


def test_sample_without_ground_truth():
    sample = make_sample(0, "gta5")
    del sample.gt_sem_seg
    with pytest.raises(UserError, match="'gta5' has no ground truth"):
        evaluate([sample])


def test_domain_without_any_labelled_pixel(samples):
    blank = make_sample(0, "blank")
    blank.gt_sem_seg.data.fill_(255)
    with pytest.raises(UserError, match="domain 'blank': no pixel of the 1 labels"):
        evaluate([*samples, blank])


def test_printed_table(tmp_path):
    sample = make_sample(0, "gta5", 0.0)
    sample.gt_sem_seg.data[sample.gt_sem_seg.data == 16] = 0
    sample.gt_sem_seg.data[sample.gt_sem_seg.data == 4] = 0
    sample.pred_sem_seg.data[sample.pred_sem_seg.data == 4] = 0
    log = tmp_path / "run.log"
    logger = MMLogger.get_instance("table", log_file=str(log))
    evaluate([sample], source="gta")
    for handler in list(logger.handlers):
        handler.close()
        logger.removeHandler(handler)
    text = log.read_text()
    assert "gta5, 1 images: mIoU" in text
    assert "| fence         |      - |      - |" in text
    assert "absent, not in the mean: fence" in text
    assert "predicted but in no label, IoU 0 in the mean: train" in text
    assert "no gap: source 'gta' is not among the evaluated domains (gta5)" in text


def test_two_processes_drop_what_the_sampler_padded(tmp_path):
    """Five samples on two processes: the sampler repeats one, which must not count twice."""
    script = """
        import json, sys
        import torch.distributed as dist
        from mmengine.dataset import DefaultSampler
        from ibn_seg.evaluation.stored import StoredConfusions, write_confusions
        from tests.evaluation.test_metric import CLASSES, MultiDomainIoU, make_sample

        torch_rank = int(sys.argv[1])
        dist.init_process_group("gloo", rank=torch_rank, world_size=2)
        metric = MultiDomainIoU(source="gta5")
        metric.dataset_meta = {"classes": CLASSES}
        metric.roots = ["/data"]
        for i in DefaultSampler(range(5), shuffle=False):
            domain = "gta5" if i < 2 else "acdc"
            sample = make_sample(i, domain, path=f"/data/{9 - i}.png")
            metric.process(None, [sample.to_dict()])
        assert len(metric.results) == 3
        metrics = metric.evaluate(5)
        images = {name: r["images"] for name, r in metric.domain_results.items()}
        stored = StoredConfusions(CLASSES, metric.image_confusions)
        write_confusions(f"rank{torch_rank}.npz", stored)
        with open(f"rank{torch_rank}.json", "w") as file:
            json.dump([metrics, images], file)
        dist.destroy_process_group()
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", textwrap.dedent(script)]
    workers = [
        subprocess.Popen([*command, str(rank)], cwd=tmp_path, env=settings) for rank in range(2)
    ]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]

    alone, _ = evaluate(
        [make_sample(i, "gta5" if i < 2 else "acdc") for i in range(5)], source="gta5"
    )
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in range(2))
    assert first == [alone, {"gta5": 2, "acdc": 3}]
    assert second == [alone, {}]
    first, second = (read_confusions(tmp_path / f"rank{rank}.npz") for rank in range(2))
    assert second.domains == {}
    # The order is the data set's, not that of the ranks, and what was padded is gone.
    images = {domain: part.images for domain, part in first.domains.items()}
    assert images == {"gta5": ("9.png", "8.png"), "acdc": ("7.png", "6.png", "5.png")}
    counts = np.concatenate([part.counts for part in first.domains.values()])
    assert np.array_equal(counts, [confusion_of(make_sample(i, None)) for i in range(5)])


def test_metric_has_no_prefix():
    assert MultiDomainIoU().prefix == ""
