"""BN on the embedded street scenes: the baseline of `ibn-seg demo`.

Command     ibn-seg scenes work_dirs/demo/scenes
            ibn-seg train ibn_seg::demo/fcn_r18-d8_1xb8-600_scenes-128x256
Time        about 3 minutes on two CPU cores

A small version of the IBN-Net paper's experiment: its network with a ResNet-18 from scratch, the
data sets' real layouts and label formats, scenes rendered on the spot. All settings are ours, and
the same for every method.
"""
_base_ = [
    '../_base_/models/fcn_r50-d8.py',
    '../_base_/datasets/gta5_to_cityscapes.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
experiment = dict(method='BN', backbone='ResNet-18', segmentor='FCN, output stride 8')

scenes_root = '{{$IBN_SEG_SCENES:work_dirs/demo/scenes}}'
gta5_root = scenes_root + '/gta5'
cityscapes_root = scenes_root + '/cityscapes'
crop_size = (128, 256)

train_pipeline = [
    dict(type='LoadUrbanImage'),
    dict(type='LoadUrbanLabels'),
    dict(type='RandomResize', scale=(256, 128), ratio_range=(0.8, 1.6), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    {{_base_.pack}},
]

model = dict(
    data_preprocessor=dict(size=crop_size),
    backbone=dict(depth=18),
    decode_head=dict(in_channels=512, channels=512))
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(data_root=gta5_root, pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        datasets=[
            dict(
                type='GTA5Dataset',
                data_root=gta5_root,
                split='val',
                pipeline={{_base_.test_pipeline}}),
            dict(
                type='RawCityscapesDataset',
                data_root=cityscapes_root,
                split='val',
                pipeline={{_base_.test_pipeline}}),
        ]))
test_dataloader = val_dataloader
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=30, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=30, end=600, by_epoch=False),
]
train_cfg = dict(max_iters=600, val_interval=200)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=50))
