"""A ViT-B with one linear layer, GTA5 -> Cityscapes, BDD100K, Mapillary: the VFM benchmark's recipe.

Reproduces  Kerssies et al., 2024 (tue-mps/benchmark-vfm-ss); its GTA5 column was in no copy that we
            could read, so there is no figure to reach
Command     ibn-seg train ibn_seg::foundation/linear_vit-b_1xb1x16-20k_gta5-1024x1024 --amp fp16 \\
                --compile --cfg-options model.backbone.pretrained=True
            ibn-seg test ... --protocol vfm_benchmark
Expected    no run on the real data sets has been made with this code yet

Other ViT-B of timm are options: `model.backbone.model`, `norm` and the preprocessor's mean and std.
`model.backbone.tuning=frozen` is its linear probing. It leaves out --compile for EVA02, whose scores
fell with it. mmengine counts steps of one picture: 320,000 steps are 20,000 updates of 16 pictures.

Settings, each read in the code (tue-mps/benchmark-vfm-ss at f3202e3) or chosen by us:
  network      DINOv2 ViT-B, patches of 14 converted to 16 and positions to 64x64 in timm's way, the
               last block after the final norm (read). DINOv2's own way is another model:
               `model.backbone.positions=dinov2` takes it at other sizes than the crop's
  head         one linear layer for each patch, enlarged to the picture, no batch norm (read)
  loss         cross entropy (read)
  optimiser    AdamW, lr 1e-4, the backbone's a tenth, weight decay 0.05 on all parameters, no clipping;
               poly 0.9, 20,000 updates of 16 pictures, accumulated from single ones (read)
  normalising  mean and deviation of the network (read)
  scoring      pictures scaled to a height of 1024, windows along the longer side: the protocol
               `vfm_benchmark` (read; labels at native size are ours)
  geometry     random scale 0.5-2.0, crop 1024, mirroring (ours)
  colour       mmseg's photometric distortion (ours)
  data         our training split of GTA5 (ours)
"""
_base_ = [
    '../_base_/models/fcn_r50-d8.py',
    '../_base_/datasets/gta5_to_rein.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
experiment = dict(
    method='full', backbone='DINOv2-B', segmentor='linear, patches of 16', source='gta5')

crop_size = (1024, 1024)
train_pipeline = [
    dict(
        type='LoadRandomCrop', ratio_range=(0.5, 2.0), crop_size=crop_size, cat_max_ratio=0.75,
        flip_prob=0.5, scale=(1914, 1052)),
    dict(type='PhotoMetricDistortion'),
    {{_base_.pack}},
]
model = dict(
    data_preprocessor=dict(
        size=crop_size, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type='TimmBackbone',
        model='vit_base_patch14_dinov2.lvd142m',
        img_size=crop_size,
        patch_size=16,
        out_indices=[11],
        norm=True,
        tuning='full'),
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=768,
        in_index=0,
        channels=768,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=19,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    test_cfg=dict(_delete_=True, mode='slide', crop_size=crop_size, stride=crop_size))
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    accumulative_counts=16,
    constructor='LayerDecayConstructor',
    # EoMT's convention without decay of layers: weight decay on all parameters.
    paramwise_cfg=dict(backbone_lr_mult=0.1, convention='eomt'))
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=320_000, by_epoch=False)]
train_cfg = dict(max_iters=320_000, val_interval=32_000)
default_hooks = dict(checkpoint=dict(interval=32_000))
