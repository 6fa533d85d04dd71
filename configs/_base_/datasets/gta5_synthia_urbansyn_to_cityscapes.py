# Train on GTA5, SYNTHIA and UrbanSyn together, each with its share of the samples; evaluate on the
# held-out parts of all three and on Cityscapes val.
_base_ = './gta5_to_cityscapes.py'

synthia_root = '{{$IBN_SEG_SYNTHIA:data/synthia}}'
urbansyn_root = '{{$IBN_SEG_URBANSYN:data/urbansyn}}'
train_dataloader = dict(
    # Relative shares. Each source is gone through evenly, however large the others are.
    sampler=dict(
        _delete_=True, type='MixedSourceSampler', weights=dict(gta5=1, synthia=1, urbansyn=1)),
    dataset=dict(
        _delete_=True,
        type='MultiDomainDataset',
        datasets=[
            dict(
                type='GTA5Dataset',
                data_root=_base_.gta5_root,
                split='train',
                pipeline=[dict(_base_.crop, scale=(1914, 1052)), *_base_.appearance]),
            dict(
                type='SynthiaDataset',
                data_root=synthia_root,
                split='robustnet_train',
                pipeline=[dict(_base_.crop, scale=(1280, 760)), *_base_.appearance]),
            dict(
                type='UrbanSynDataset',
                data_root=urbansyn_root,
                split='train',
                pipeline=[dict(_base_.crop, scale=(2048, 1024)), *_base_.appearance]),
        ]))
source_val = [
    dict(type='GTA5Dataset', data_root=_base_.gta5_root, split='val'),
    dict(type='SynthiaDataset', data_root=synthia_root, split='robustnet_val'),
    dict(type='UrbanSynDataset', data_root=urbansyn_root, split='val'),
]
val_dataloader = dict(dataset=dict(datasets=[*source_val, _base_.cityscapes_val]))
test_dataloader = val_dataloader
experiment = dict(source='gta5+synthia+urbansyn')
val_evaluator = dict(source='gta5+synthia+urbansyn')
test_evaluator = val_evaluator
