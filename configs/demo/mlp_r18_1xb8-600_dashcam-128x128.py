"""BN on the embedded street scenes, trained on the target's own training set.

Reproduces  the idea of the IBN-Net paper (Pan et al., ECCV 2018) in small; no published figure.
Command     ibn-seg scenes work_dirs/demo/scenes --source 500 --target-train 300 \\
                --target-val 100 --seed 1
            ibn-seg train ibn_seg::demo/mlp_r18_1xb8-600_dashcam-128x128
Time        about 4 minutes on two CPU cores

All settings are those of the config that trains on game, but for:
  source       dashcam's training set (ours); game is the other domain

It gives the upper bound on dashcam, and `ibn-seg transfer` trains by it on shares of dashcam's
training set, from a network that was trained on game or without one.
"""
_base_ = './mlp_r18_1xb8-600_scenes-128x128.py'
experiment = dict(source='dashcam')
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='RawCityscapesDataset',
        target='dashcam',
        data_root={{_base_.cityscapes_root}},
        split='train',
        pipeline={{_base_.train_pipeline}}))
# The domain that is trained on comes first.
val_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                type='RawCityscapesDataset',
                target='dashcam',
                data_root={{_base_.cityscapes_root}},
                split='val'),
            dict(type='GTA5Dataset', target='game', data_root={{_base_.gta5_root}}, split='val'),
        ]))
test_dataloader = val_dataloader
val_evaluator = dict(source='dashcam')
test_evaluator = val_evaluator
