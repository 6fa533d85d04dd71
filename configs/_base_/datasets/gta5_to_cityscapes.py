# Train on GTA5, evaluate on the held-out part of GTA5 (source) and on Cityscapes val (target).
# Raw downloads are read as they are. Where they lie: data/README.md, or the environment variables
# IBN_SEG_GTA5 and IBN_SEG_CITYSCAPES.
gta5_root = '{{$IBN_SEG_GTA5:data/gta5}}'
cityscapes_root = '{{$IBN_SEG_CITYSCAPES:data/cityscapes}}'
meta_keys = ('img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor',
             'flip', 'flip_direction', 'reduce_zero_label', 'target', 'appearance')
pack = dict(type='PackSegInputs', meta_keys=meta_keys)

# With train_dataloader.dataset.cache_dir set, decoded frames are kept there and crops read from it.
crop = dict(
    type='LoadRandomCrop', ratio_range=(0.5, 2.0), crop_size=(768, 768), cat_max_ratio=0.75,
    flip_prob=0.5)
# Both can be left to the GPU: on_device=True for both, and
# model.data_preprocessor.type='AppearancePreProcessor'. Not measured yet.
appearance = [
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, prob=0.5),
    dict(type='RandomGaussianBlur', sigma=(0.15, 1.3), prob=1.0),
    pack,
]
train_pipeline = [dict(crop, scale=(1914, 1052)), *appearance]
# No resizing: the network sees the native size and is scored at it.
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadUrbanLabels'), pack]

train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='GTA5Dataset', data_root=gta5_root, split='train', pipeline=train_pipeline))
# What the other files here build on.
source_val = [dict(type='GTA5Dataset', data_root=gta5_root, split='val')]
cityscapes_val = dict(type='RawCityscapesDataset', data_root=cityscapes_root, split='val')
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='MultiDomainDataset',
        pipeline=test_pipeline,
        datasets=[*source_val, cityscapes_val]))
test_dataloader = val_dataloader
experiment = dict(source='gta5')
val_evaluator = dict(type='MultiDomainIoU', source='gta5')
test_evaluator = val_evaluator
