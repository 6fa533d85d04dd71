# The other direction: train on Cityscapes train, evaluate on Cityscapes val (source) and on the
# held-out part of GTA5 (target).
_base_ = './gta5_to_cityscapes.py'

train_pipeline = [dict(_base_.crop, scale=(2048, 1024)), *_base_.appearance]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='RawCityscapesDataset',
        data_root=_base_.cityscapes_root,
        split='train',
        pipeline=train_pipeline))
source_val = [_base_.cityscapes_val]
experiment = dict(source='cityscapes')
val_evaluator = dict(source='cityscapes')
test_evaluator = val_evaluator
