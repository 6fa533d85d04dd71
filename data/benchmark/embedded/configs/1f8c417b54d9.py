appearance = [
    dict(
        brightness=0.4,
        contrast=0.4,
        hue=0.1,
        prob=0.5,
        saturation=0.4,
        type='ColorJitter'),
    dict(prob=1.0, sigma=(
        0.15,
        1.3,
    ), type='RandomGaussianBlur'),
    dict(
        meta_keys=(
            'img_path',
            'seg_map_path',
            'ori_shape',
            'img_shape',
            'pad_shape',
            'scale_factor',
            'flip',
            'flip_direction',
            'reduce_zero_label',
            'target',
            'appearance',
        ),
        type='PackSegInputs'),
]
channels_last = True
cityscapes_root = 'work_dirs/benchmark/embedded/scenes/cityscapes'
cityscapes_val = dict(
    data_root='data/cityscapes', split='val', type='RawCityscapesDataset')
crop = dict(
    cat_max_ratio=0.75,
    crop_size=(
        768,
        768,
    ),
    flip_prob=0.5,
    ratio_range=(
        0.5,
        2.0,
    ),
    type='LoadRandomCrop')
crop_size = (
    128,
    128,
)
custom_hooks = [
    dict(type='LeaseHook'),
]
custom_imports = dict(
    allow_failed_imports=False, imports=[
        'ibn_seg.plugins.mmseg',
    ])
default_hooks = dict(
    checkpoint=dict(
        by_epoch=False,
        interval=50,
        max_keep_ckpts=2,
        type='AtomicCheckpointHook'),
    logger=dict(interval=20, log_metric_by_epoch=False, type='LoggerHook'),
    param_scheduler=dict(type='ParamSchedulerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    timer=dict(type='IterTimerHook'))
default_scope = 'mmseg'
env_cfg = dict(
    cudnn_benchmark=True,
    dist_cfg=dict(backend='nccl'),
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0))
experiment = dict(
    backbone='ResNet-18', method='IBN-b', segmentor='all-MLP', source='game')
gta5_root = 'work_dirs/benchmark/embedded/scenes/gta5'
load_from = None
log_level = 'INFO'
log_processor = dict(by_epoch=False)
meta_keys = (
    'img_path',
    'seg_map_path',
    'ori_shape',
    'img_shape',
    'pad_shape',
    'scale_factor',
    'flip',
    'flip_direction',
    'reduce_zero_label',
    'target',
    'appearance',
)
model = dict(
    backbone=dict(
        depth=18,
        dilations=(
            1,
            1,
            1,
            1,
        ),
        ibn='b',
        norm_cfg=dict(requires_grad=True, type='BN'),
        norm_eval=False,
        num_stages=4,
        out_indices=(
            0,
            1,
            2,
            3,
        ),
        strides=(
            1,
            2,
            2,
            2,
        ),
        style='pytorch',
        type='IBNResNet'),
    data_preprocessor=dict(
        bgr_to_rgb=True,
        mean=[
            123.675,
            116.28,
            103.53,
        ],
        pad_val=0,
        seg_pad_val=255,
        size=(
            128,
            128,
        ),
        std=[
            58.395,
            57.12,
            57.375,
        ],
        type='SegDataPreProcessor'),
    decode_head=dict(
        align_corners=False,
        channels=64,
        dropout_ratio=0.0,
        in_channels=[
            64,
            128,
            256,
            512,
        ],
        in_index=[
            0,
            1,
            2,
            3,
        ],
        loss_decode=dict(
            loss_weight=1.0, type='CrossEntropyLoss', use_sigmoid=False),
        norm_cfg=dict(requires_grad=True, type='BN'),
        num_classes=19,
        type='SegformerHead'),
    test_cfg=dict(mode='whole'),
    train_cfg=dict(),
    type='EncoderDecoder')
norm_cfg = dict(requires_grad=True, type='BN')
optim_wrapper = dict(
    optimizer=dict(lr=0.002, type='AdamW', weight_decay=0.01),
    type='OptimWrapper')
pack = dict(
    meta_keys=(
        'img_path',
        'seg_map_path',
        'ori_shape',
        'img_shape',
        'pad_shape',
        'scale_factor',
        'flip',
        'flip_direction',
        'reduce_zero_label',
        'target',
        'appearance',
    ),
    type='PackSegInputs')
param_scheduler = [
    dict(begin=0, by_epoch=False, end=30, start_factor=0.1, type='LinearLR'),
    dict(
        begin=30,
        by_epoch=False,
        end=600,
        eta_min=0.0,
        power=0.9,
        type='PolyLR'),
]
randomness = dict(seed=2)
resume = False
scenes_root = 'work_dirs/benchmark/embedded/scenes'
source_val = [
    dict(data_root='data/gta5', split='val', type='GTA5Dataset'),
]
test_cfg = dict(type='TestLoop')
test_dataloader = dict(
    batch_size=5,
    dataset=dict(
        datasets=[
            dict(
                data_root='work_dirs/benchmark/embedded/scenes/gta5',
                split='val',
                target='game',
                type='GTA5Dataset'),
            dict(
                data_root=
                'work_dirs/benchmark/embedded/scenes/cityscapes',
                split='val',
                target='dashcam',
                type='RawCityscapesDataset'),
            dict(
                condition='night',
                data_root='work_dirs/benchmark/embedded/scenes/acdc',
                split='val',
                target='night',
                type='RawACDCDataset'),
            dict(
                condition='fog',
                data_root='work_dirs/benchmark/embedded/scenes/acdc',
                split='val',
                target='fog',
                type='RawACDCDataset'),
        ],
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadUrbanLabels'),
            dict(
                meta_keys=(
                    'img_path',
                    'seg_map_path',
                    'ori_shape',
                    'img_shape',
                    'pad_shape',
                    'scale_factor',
                    'flip',
                    'flip_direction',
                    'reduce_zero_label',
                    'target',
                    'appearance',
                ),
                type='PackSegInputs'),
        ],
        type='MultiDomainDataset'),
    num_workers=0,
    persistent_workers=False,
    sampler=dict(shuffle=False, type='DefaultSampler'))
test_evaluator = dict(source='game', type='MultiDomainIoU')
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadUrbanLabels'),
    dict(
        meta_keys=(
            'img_path',
            'seg_map_path',
            'ori_shape',
            'img_shape',
            'pad_shape',
            'scale_factor',
            'flip',
            'flip_direction',
            'reduce_zero_label',
            'target',
            'appearance',
        ),
        type='PackSegInputs'),
]
train_cfg = dict(max_iters=600, type='SeededIterLoop', val_interval=300)
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        data_root='work_dirs/benchmark/embedded/scenes/gta5',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadUrbanLabels'),
            dict(
                keep_ratio=True,
                ratio_range=(
                    0.8,
                    1.6,
                ),
                scale=(
                    256,
                    128,
                ),
                type='RandomResize'),
            dict(
                cat_max_ratio=0.75, crop_size=(
                    128,
                    128,
                ), type='RandomCrop'),
            dict(prob=0.5, type='RandomFlip'),
            dict(
                meta_keys=(
                    'img_path',
                    'seg_map_path',
                    'ori_shape',
                    'img_shape',
                    'pad_shape',
                    'scale_factor',
                    'flip',
                    'flip_direction',
                    'reduce_zero_label',
                    'target',
                    'appearance',
                ),
                type='PackSegInputs'),
        ],
        split='train',
        target='game',
        type='GTA5Dataset'),
    num_workers=0,
    persistent_workers=False,
    sampler=dict(shuffle=True, type='InfiniteSampler'))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadUrbanLabels'),
    dict(
        keep_ratio=True,
        ratio_range=(
            0.8,
            1.6,
        ),
        scale=(
            256,
            128,
        ),
        type='RandomResize'),
    dict(cat_max_ratio=0.75, crop_size=(
        128,
        128,
    ), type='RandomCrop'),
    dict(prob=0.5, type='RandomFlip'),
    dict(
        meta_keys=(
            'img_path',
            'seg_map_path',
            'ori_shape',
            'img_shape',
            'pad_shape',
            'scale_factor',
            'flip',
            'flip_direction',
            'reduce_zero_label',
            'target',
            'appearance',
        ),
        type='PackSegInputs'),
]
val_cfg = dict(type='ValLoop')
val_dataloader = dict(
    batch_size=5,
    dataset=dict(
        datasets=[
            dict(
                data_root='work_dirs/benchmark/embedded/scenes/gta5',
                split='val',
                target='game',
                type='GTA5Dataset'),
            dict(
                data_root=
                'work_dirs/benchmark/embedded/scenes/cityscapes',
                split='val',
                target='dashcam',
                type='RawCityscapesDataset'),
            dict(
                condition='night',
                data_root='work_dirs/benchmark/embedded/scenes/acdc',
                split='val',
                target='night',
                type='RawACDCDataset'),
            dict(
                condition='fog',
                data_root='work_dirs/benchmark/embedded/scenes/acdc',
                split='val',
                target='fog',
                type='RawACDCDataset'),
        ],
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadUrbanLabels'),
            dict(
                meta_keys=(
                    'img_path',
                    'seg_map_path',
                    'ori_shape',
                    'img_shape',
                    'pad_shape',
                    'scale_factor',
                    'flip',
                    'flip_direction',
                    'reduce_zero_label',
                    'target',
                    'appearance',
                ),
                type='PackSegInputs'),
        ],
        type='MultiDomainDataset'),
    num_workers=0,
    persistent_workers=False,
    sampler=dict(shuffle=False, type='DefaultSampler'))
val_evaluator = dict(source='game', type='MultiDomainIoU')
vis_backends = [
    dict(type='LocalVisBackend'),
]
visualizer = dict(
    name='visualizer',
    type='SegLocalVisualizer',
    vis_backends=[
        dict(type='LocalVisBackend'),
    ])
