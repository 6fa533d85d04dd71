# Train on SYNTHIA, evaluate on its held-out part and on Cityscapes val.
_base_ = './gta5_to_cityscapes.py'

synthia_root = '{{$IBN_SEG_SYNTHIA:data/synthia}}'
train_pipeline = [dict(_base_.crop, scale=(1280, 760), crop_size=(704, 704)), *_base_.appearance]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='SynthiaDataset',
        data_root=synthia_root,
        split='robustnet_train',
        pipeline=train_pipeline))
source_val = [dict(type='SynthiaDataset', data_root=synthia_root, split='robustnet_val')]
val_dataloader = dict(dataset=dict(datasets=[*source_val, _base_.cityscapes_val]))
test_dataloader = val_dataloader
experiment = dict(source='synthia')
val_evaluator = dict(source='synthia')
test_evaluator = val_evaluator
