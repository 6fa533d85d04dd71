"""BN on CamVid's daylight videos; its dusk video is the unseen domain.

Reproduces  no published figure. The question is the IBN-Net paper's (Pan et al., ECCV 2018): what is
            kept in an unseen domain, here on photographs.
Command     IBN_SEG_CAMVID=/where/CamVid/is \\
                ibn-seg train ibn_seg::photographs/mlp_r18_1xb8-500_camvid-day-128x128
Time        8 minutes on a busy CPU core, evaluation included

All settings are ours: a ResNet-18 from scratch with the head and the optimiser of the demo. It
trains on the first three quarters of each daylight video and validates on the last quarter. Frames
are seen at about 256x192 in training and at 320x240 in evaluation. They are scored at their own
size.
"""
_base_ = '../demo/mlp_r18_1xb8-600_scenes-128x128.py'
experiment = dict(source='camvid-day')
camvid_root = '{{$IBN_SEG_CAMVID:data/camvid}}'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadUrbanLabels'),
    dict(type='RandomResize', scale=(256, 192), ratio_range=(0.8, 1.6), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(128, 128), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    {{_base_.pack}},
]
# The label keeps its size, so predictions are brought to it before they are scored.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(320, 240), keep_ratio=True),
    dict(type='LoadUrbanLabels'),
    {{_base_.pack}},
]
model = dict(decode_head=dict(num_classes=11))
day_val = dict(
    type='CamVidDataset', target='camvid-day', data_root=camvid_root, split='day_val')
dusk_val = dict(
    type='CamVidDataset', target='camvid-dusk', data_root=camvid_root, split='all', part='dusk')
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CamVidDataset',
        target='camvid-day',
        data_root=camvid_root,
        split='day_train',
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1,
    dataset=dict(pipeline=test_pipeline, datasets=[day_val, dusk_val]))
test_dataloader = val_dataloader
val_evaluator = dict(source='camvid-day')
test_evaluator = val_evaluator
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=30, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=30, end=500, by_epoch=False),
]
train_cfg = dict(max_iters=500, val_interval=500)
