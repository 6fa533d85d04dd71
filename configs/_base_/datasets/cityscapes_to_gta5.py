# The other direction: train on Cityscapes train, evaluate on Cityscapes val (source) and on the
# held-out part of GTA5 (target).
_base_ = './gta5_to_cityscapes.py'

train_pipeline = [
    dict(
        type='LoadRandomCrop', scale=(2048, 1024), ratio_range=(0.5, 2.0), crop_size=(768, 768),
        cat_max_ratio=0.75, flip_prob=0.5),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, prob=0.5),
    dict(type='RandomGaussianBlur', sigma=(0.15, 1.3), prob=1.0),
    {{_base_.pack}},
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='RawCityscapesDataset',
        data_root={{_base_.cityscapes_root}},
        split='train',
        pipeline=train_pipeline))
source_val = [
    dict(type='RawCityscapesDataset', data_root={{_base_.cityscapes_root}}, split='val'),
]
experiment = dict(source='cityscapes')
val_evaluator = dict(source='cityscapes')
test_evaluator = val_evaluator
