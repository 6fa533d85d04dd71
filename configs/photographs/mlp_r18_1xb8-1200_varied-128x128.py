"""BN on the rendered varied source; photographs of CamVid and IDD-Lite are the unseen domains.

Reproduces  no published figure.
Command     ibn-seg scenes work_dirs/demo/scenes --source 500 --target-train 20 \\
                --target-val 100 --varied 1500 --seed 1
            IBN_SEG_CAMVID=/where/CamVid/is IBN_SEG_IDD_LITE=/where/IDD-Lite/is \\
                ibn-seg train ibn_seg::photographs/mlp_r18_1xb8-1200_varied-128x128

All settings are ours. The network and its optimizer are those of the demo. The frames differ,
there are more of them, and the training is twice as long. Photographs show things larger than the scenes
do, so the crops come from frames of up to twice their size, and photographs are seen at 256x192.
"""
_base_ = './mlp_r18_1xb8-600_game-128x128.py'
experiment = dict(source='varied')
varied_root = '{{$IBN_SEG_SCENES:work_dirs/demo/scenes}}/varied'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadUrbanLabels'),
    dict(type='RandomResize', scale=(256, 128), ratio_range=(0.8, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size={{_base_.crop_size}}, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    {{_base_.pack}},
]
photograph_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(256, 192), keep_ratio=True),
    dict(type='LoadUrbanLabels'),
    {{_base_.pack}},
]
train_dataloader = dict(
    dataset=dict(target='varied', data_root=varied_root, pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(type='GTA5Dataset', target='varied', data_root=varied_root, split='val'),
            dict(
                type='CamVidDataset', target='camvid', data_root={{_base_.camvid_root}},
                split='test', pipeline=photograph_pipeline),
            dict(
                type='IDDLiteDataset', target='idd_lite', data_root={{_base_.idd_lite_root}},
                split='val', pipeline=photograph_pipeline),
        ]))
test_dataloader = val_dataloader
val_evaluator = dict(source='varied')
test_evaluator = val_evaluator
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=30, by_epoch=False),
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=30, end=1200, by_epoch=False),
]
train_cfg = dict(max_iters=1200, val_interval=1200)
