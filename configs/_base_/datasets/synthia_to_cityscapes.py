# Train on SYNTHIA, evaluate on its held-out part and on Cityscapes val.
_base_ = './gta5_to_cityscapes.py'

synthia_root = '{{$IBN_SEG_SYNTHIA:data/synthia}}'
train_pipeline = [
    dict(
        type='LoadRandomCrop', scale=(1280, 760), ratio_range=(0.5, 2.0), crop_size=(704, 704),
        cat_max_ratio=0.75, flip_prob=0.5),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, prob=0.5),
    dict(type='RandomGaussianBlur', sigma=(0.15, 1.3), prob=1.0),
    {{_base_.pack}},
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True, type='SynthiaDataset', data_root=synthia_root, split='robustnet_train', pipeline=train_pipeline))
source_val = [dict(type='SynthiaDataset', data_root=synthia_root, split='robustnet_val')]
val_dataloader = dict(
    dataset=dict(
        datasets=[
            *source_val,
            dict(
                type='RawCityscapesDataset', data_root={{_base_.cityscapes_root}}, split='val'),
        ]))
test_dataloader = val_dataloader
experiment = dict(source='synthia')
val_evaluator = dict(source='synthia')
test_evaluator = val_evaluator
