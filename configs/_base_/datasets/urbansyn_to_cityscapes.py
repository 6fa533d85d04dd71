# Train on UrbanSyn, evaluate on its held-out part and on Cityscapes val.
_base_ = './gta5_to_cityscapes.py'

urbansyn_root = '{{$IBN_SEG_URBANSYN:data/urbansyn}}'
train_pipeline = [dict(_base_.crop, scale=(2048, 1024)), *_base_.appearance]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='UrbanSynDataset',
        data_root=urbansyn_root,
        split='train',
        pipeline=train_pipeline))
source_val = [dict(type='UrbanSynDataset', data_root=urbansyn_root, split='val')]
val_dataloader = dict(dataset=dict(datasets=[*source_val, _base_.cityscapes_val]))
test_dataloader = val_dataloader
experiment = dict(source='urbansyn')
val_evaluator = dict(source='urbansyn')
test_evaluator = val_evaluator
