"""BN on CamVid's dusk video; its daylight videos are the unseen domain.

Reproduces  no published figure.
Command     IBN_SEG_CAMVID=/where/CamVid/is \\
                ibn-seg train ibn_seg::photographs/mlp_r18_1xb8-500_camvid-dusk-128x128

All settings are those of the config that trains on day, but for:
  source       the first three quarters of the dusk video, 93 frames; validated on the last quarter (ours)
"""
_base_ = './mlp_r18_1xb8-500_camvid-day-128x128.py'
experiment = dict(source='camvid-dusk-val')
train_dataloader = dict(dataset=dict(target='camvid-dusk-val', split='dusk_train'))
# The domain that is trained on comes first.
val_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                type='CamVidDataset',
                target='camvid-dusk-val',
                data_root={{_base_.camvid_root}},
                split='dusk_val'),
            {{_base_.day_val}},
        ]))
test_dataloader = val_dataloader
val_evaluator = dict(source='camvid-dusk-val')
test_evaluator = val_evaluator
