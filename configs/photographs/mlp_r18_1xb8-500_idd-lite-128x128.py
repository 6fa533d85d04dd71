"""BN on IDD-Lite, streets of India; CamVid in the same seven classes is the unseen domain.

Reproduces  no published figure.
Command     IBN_SEG_CAMVID=/where/CamVid/is IBN_SEG_IDD_LITE=/where/IDD-Lite/is \\
                ibn-seg train ibn_seg::photographs/mlp_r18_1xb8-500_idd-lite-128x128

All settings are those of the config that trains on day, but for:
  source       the training set of IDD-Lite (ours)
"""
_base_ = './mlp_r18_1xb8-500_camvid7-128x128.py'
experiment = dict(source='idd_lite')
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='IDDLiteDataset',
        target='idd_lite',
        data_root={{_base_.idd_lite_root}},
        split='train',
        pipeline={{_base_.train_pipeline}}))
# The domain that is trained on comes first.
val_dataloader = dict(
    dataset=dict(datasets=[{{_base_.idd_lite_val}}, {{_base_.camvid7_val}}]))
test_dataloader = val_dataloader
val_evaluator = dict(source='idd_lite')
test_evaluator = val_evaluator
