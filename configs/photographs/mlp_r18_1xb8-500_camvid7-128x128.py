"""BN on CamVid in seven classes; IDD-Lite, streets of India, is the unseen domain.

Reproduces  no published figure.
Command     IBN_SEG_CAMVID=/where/CamVid/is IBN_SEG_IDD_LITE=/where/IDD-Lite/is \\
                ibn-seg train ibn_seg::photographs/mlp_r18_1xb8-500_camvid7-128x128

All settings are those of the config that trains on day, but for:
  source       SegNet's training set of CamVid, read in the seven classes of IDD-Lite (ours)
"""
_base_ = './mlp_r18_1xb8-500_camvid-day-128x128.py'
experiment = dict(source='camvid7')
idd_lite_root = '{{$IBN_SEG_IDD_LITE:data/idd_lite}}'
model = dict(decode_head=dict(num_classes=7))
camvid7_val = dict(
    type='CamVidDataset',
    target='camvid7',
    data_root={{_base_.camvid_root}},
    split='test',
    read_as='idd_lite')
idd_lite_val = dict(
    type='IDDLiteDataset', target='idd_lite', data_root=idd_lite_root, split='val')
train_dataloader = dict(
    dataset=dict(target='camvid7', split='train', read_as='idd_lite'))
val_dataloader = dict(dataset=dict(datasets=[camvid7_val, idd_lite_val]))
test_dataloader = val_dataloader
val_evaluator = dict(source='camvid7')
test_evaluator = val_evaluator
