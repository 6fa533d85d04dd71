"""A tiny segmentation experiment on files: both domains, a thin ResNet-18, six iterations."""

import functools
import os
import subprocess
import sys
from pathlib import Path

from tests.helpers import write_cityscapes, write_gta5
from tests.preloaded import Server

ROOT = Path(__file__).resolve().parents[1]

CONFIG = """
custom_imports = dict(imports=['ibn_seg.plugins.mmseg'], allow_failed_imports=False)
default_scope = 'mmseg'
experiment = dict(method='IBN-a', backbone='ResNet-18', segmentor='FCN', source='gta5')
norm_cfg = dict(type='{norm}', requires_grad=True)
keys = ('img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'flip', 'flip_direction', 'target')
pack = dict(type='PackSegInputs', meta_keys=keys)
load = [dict(type='LoadImageFromFile'), dict(type='LoadUrbanLabels')]
test_pipeline = load + [pack]
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4],
        bgr_to_rgb=True, pad_val=0, seg_pad_val=255, size=(32, 32)),
    backbone=dict(
        type='IBNResNet', depth=18, ibn='a', base_channels=8, out_indices=(3, ),
        norm_cfg=norm_cfg),
    decode_head=dict(
        type='FCNHead', in_channels=64, in_index=0, channels=16, num_convs=1,
        concat_input=False, dropout_ratio=0.1, num_classes=19, norm_cfg=norm_cfg,
        align_corners=False, loss_decode=dict(type='CrossEntropyLoss')),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='GTA5Dataset', data_root='{data}/gta5', split='train',
        pipeline=load + [
            dict(type='RandomCrop', crop_size=(32, 32)), dict(type='RandomFlip', prob=0.5), pack]))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='MultiDomainDataset', pipeline=test_pipeline, datasets=[
        dict(type='GTA5Dataset', data_root='{data}/gta5', split='val'),
        dict(type='RawCityscapesDataset', data_root='{data}/cityscapes', split='val')]))
test_dataloader = val_dataloader
val_evaluator = dict(type='MultiDomainIoU', source='gta5')
test_evaluator = val_evaluator
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
param_scheduler = [dict(type='PolyLR', begin=0, end=6, by_epoch=False)]
train_cfg = dict(type='SeededIterLoop', max_iters=6, val_interval=3)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))
log_processor = dict(by_epoch=False)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='SegLocalVisualizer', vis_backends=vis_backends, name='visualizer')
tta_model = dict(type='SegTTAModel')
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='RandomFlip', prob=0., direction='horizontal'),
         dict(type='RandomFlip', prob=1., direction='horizontal')],
        [dict(type='LoadUrbanLabels')], [pack]])]
"""


def write_experiment(folder: Path, norm: str = "BN") -> Path:
    """Write both data sets and the config; return the config's path."""
    write_gta5(folder / "gta5")
    write_cityscapes(folder / "cityscapes")
    config = folder / "tiny.py"
    config.write_text(CONFIG.replace("{data}", str(folder)).replace("{norm}", norm))
    return config


def command(*args: object, python: tuple = ("-m", "ibn_seg")) -> list[str]:
    """Return a command line that runs ibn-seg in this Python."""
    return [sys.executable, *python, *map(str, args)]


def environment() -> dict[str, str]:
    """Return the variables of a child process: the package on its path, one thread."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run(*args: object, timeout: float = 120) -> subprocess.CompletedProcess:
    """Run ibn-seg in a process of its own."""
    return _server().run([str(arg) for arg in args], environment(), timeout)


@functools.cache
def _server() -> Server:
    return Server(environment())
