"""Training machinery on top of mmengine: loops, hooks and checkpoints that resume exactly.

Importing this package registers its components with mmengine. It also allow-lists the classes in
mmengine's own checkpoints. It needs torch and mmengine, not mmseg.
"""

from ibn_seg.engine.averaging import SharedEMAHook
from ibn_seg.engine.checkpoint import (
    AtomicBackend,
    AtomicCheckpointHook,
    find_checkpoint,
)
from ibn_seg.engine.domain_batches import DomainBatchSampler
from ibn_seg.engine.full_size_labels import LabelsOnlyHook
from ibn_seg.engine.history import allow_checkpoint_classes
from ibn_seg.engine.lease_hook import LeaseHook
from ibn_seg.engine.loop import SeededIterLoop
from ibn_seg.engine.method_hook import MethodHook
from ibn_seg.engine.mixing import MixedSourceSampler
from ibn_seg.engine.precision import Bfloat16OptimWrapper
from ibn_seg.engine.predictions import SavePredictionsHook
from ibn_seg.engine.progress_hook import ProgressHook
from ibn_seg.engine.random_state import RandomStateHook
from ibn_seg.engine.record import RunRecordHook
from ibn_seg.engine.runner import StrictRunner
from ibn_seg.engine.sampling import PositionSampler, SeededDataset
from ibn_seg.engine.sensitive_covariances import SensitiveCovarianceHook
from ibn_seg.engine.sharded_network import FullyShardedNetwork
from ibn_seg.engine.target_adaptation import TargetAdaptationHook
from ibn_seg.engine.view_consistency import ViewConsistencyHook

__all__ = [
    "AtomicBackend",
    "AtomicCheckpointHook",
    "Bfloat16OptimWrapper",
    "DomainBatchSampler",
    "FullyShardedNetwork",
    "LabelsOnlyHook",
    "LeaseHook",
    "MethodHook",
    "MixedSourceSampler",
    "PositionSampler",
    "ProgressHook",
    "RandomStateHook",
    "RunRecordHook",
    "SavePredictionsHook",
    "SeededDataset",
    "SeededIterLoop",
    "SensitiveCovarianceHook",
    "SharedEMAHook",
    "StrictRunner",
    "TargetAdaptationHook",
    "ViewConsistencyHook",
    "find_checkpoint",
]

allow_checkpoint_classes()
