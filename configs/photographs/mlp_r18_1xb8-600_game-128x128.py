"""BN on the rendered game; photographs of CamVid and IDD-Lite are the unseen domains.

Reproduces  no published figure.
Command     ibn-seg scenes work_dirs/demo/scenes --source 500 --target-train 20 \\
                --target-val 100 --seed 1
            IBN_SEG_CAMVID=/where/CamVid/is IBN_SEG_IDD_LITE=/where/IDD-Lite/is \\
                ibn-seg train ibn_seg::photographs/mlp_r18_1xb8-600_game-128x128

All settings are ours: those of the demo, but for the targets. Photographs are seen at 320x240 and scored
at their own size. The network has Cityscapes' 19 classes; CamVid is scored over its own 11 and
IDD-Lite over its own 7, by the maps of `ibn_seg.datasets.known_classes`.
"""
_base_ = '../demo/mlp_r18_1xb8-600_scenes-128x128.py'
camvid_root = '{{$IBN_SEG_CAMVID:data/camvid}}'
idd_lite_root = '{{$IBN_SEG_IDD_LITE:data/idd_lite}}'
# The label keeps its size, so predictions are brought to it before they are scored.
photograph_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(320, 240), keep_ratio=True),
    dict(type='LoadUrbanLabels'),
    {{_base_.pack}},
]
val_dataloader = dict(
    batch_size=1,
    dataset=dict(
        datasets=[
            dict(
                type='GTA5Dataset', target='game', data_root={{_base_.gta5_root}}, split='val'),
            dict(
                type='CamVidDataset', target='camvid', data_root=camvid_root, split='test',
                pipeline=photograph_pipeline),
            dict(
                type='IDDLiteDataset', target='idd_lite', data_root=idd_lite_root, split='val',
                pipeline=photograph_pipeline),
        ]))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=600, val_interval=600)
