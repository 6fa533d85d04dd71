"""BN on the embedded street scenes: the baseline of `ibn-seg demo`.

Reproduces  the idea of the IBN-Net paper (Pan et al., ECCV 2018) in small; no published figure.
Command     ibn-seg scenes work_dirs/demo/scenes --source 500 --target-train 20 \\
                --target-val 100 --seed 1
            ibn-seg train ibn_seg::demo/mlp_r18_1xb8-600_scenes-128x128
Time        about 4 minutes on two CPU cores

A small version of the IBN-Net paper's experiment: a ResNet-18 from scratch, the data sets' real
layouts and label formats, scenes rendered on the spot. A laptop's CPU takes too long for dilated
stages, so the backbone keeps its output stride of 32 and a small head of 1x1 convolutions reads
all four stages (SegFormer's all-MLP head). All settings are ours, and the same for every method.
"""
_base_ = [
    '../_base_/models/fcn_r50-d8.py',
    '../_base_/datasets/gta5_to_cityscapes.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
# The domains are named by their looks: only their layouts are those of GTA5 and Cityscapes.
experiment = dict(
    method='BN', backbone='ResNet-18', segmentor='all-MLP head, output stride 32', source='game')

scenes_root = '{{$IBN_SEG_SCENES:work_dirs/demo/scenes}}'
gta5_root = scenes_root + '/gta5'
cityscapes_root = scenes_root + '/cityscapes'
crop_size = (128, 128)
norm_cfg = dict(type='BN', requires_grad=True)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadUrbanLabels'),
    dict(type='RandomResize', scale=(256, 128), ratio_range=(0.8, 1.6), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    {{_base_.pack}},
]

model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(
        depth=18, strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1), norm_cfg=norm_cfg),
    decode_head=dict(
        _delete_=True,
        type='SegformerHead',
        in_channels=[64, 128, 256, 512],
        in_index=[0, 1, 2, 3],
        channels=64,
        dropout_ratio=0.0,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)))
# The fast convolutions of CPUs want channels last.
channels_last = True
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(target='game', data_root=gta5_root, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=5,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        datasets=[
            dict(type='GTA5Dataset', target='game', data_root=gta5_root, split='val'),
            dict(
                type='RawCityscapesDataset',
                target='dashcam',
                data_root=cityscapes_root,
                split='val'),
        ]))
test_dataloader = val_dataloader
val_evaluator = dict(source='game')
test_evaluator = val_evaluator
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.01))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=30, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=30, end=600, by_epoch=False),
]
train_cfg = dict(max_iters=600, val_interval=300)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=50))
