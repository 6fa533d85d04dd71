"""A plain transformer of timm with an all-MLP head, GTA5 -> Cityscapes: one recipe for all rows.

Reproduces  no published row: head and recipe differ from those of Rein, SoMA and VLTSeg, which have
            Mask2Former.
Command     ibn-seg train ibn_seg::foundation/mlp_vit_4xb4-40k_gta5-512x512 --cfg-options \\
                model.backbone.pretrained=True
Expected    no run on the real data sets has been made with this code yet

Without `pretrained` the network begins at random. `pretrained=True` takes the weights that timm
publishes; see their licence. The plan `foundation_gta5` names other networks and ways of tuning.

Settings, each marked as read in a source, inferred from its code, recalled, or chosen by us:
  network      DINOv2 ViT-S, patches of 14 converted to 16 in timm's way (ours: Rein converts by a
               bicubic resize); blocks 2, 5, 8 and 11 without the final norm, as a bilinear pyramid
               of strides 4 to 32 (read, Rein)
  heads        SegFormer's all-MLP head, 256 channels (ours)
  normalising  mean and deviation of the network (read, benchmark-vfm-ss; Rein has ImageNet's)
  optimiser    AdamW, lr 1e-4, the backbone's a tenth, weight decay 0.05 but for 1-D parameters,
               positions and tokens; poly 0.9, 40,000 iterations (read, Rein and benchmark-vfm-ss)
  batch        16 = 4 GPUs x 4 (ours)
  geometry     random scale 0.5-2.0 of 1914x1052, crop 512, mirroring (ours)
  colour       RobustNet's jitter and blur, for all rows alike (ours)
  scoring      windows of 512 with a stride of 341 (read, Rein); the plan takes the protocol `rein`
"""
_base_ = [
    '../_base_/models/fcn_r50-d8.py',
    '../_base_/datasets/gta5_to_cityscapes.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
experiment = dict(
    method='full', backbone='DINOv2-S', segmentor='all-MLP head, patches of 16', source='gta5')

crop_size = (512, 512)
norm_cfg = dict(type='SyncBN', requires_grad=True)
train_pipeline = [
    dict(
        type='LoadRandomCrop', ratio_range=(0.5, 2.0), crop_size=crop_size, cat_max_ratio=0.75,
        flip_prob=0.5, scale=(1914, 1052)),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, prob=0.5),
    dict(type='RandomGaussianBlur', sigma=(0.15, 1.3), prob=1.0),
    {{_base_.pack}},
]
model = dict(
    data_preprocessor=dict(
        size=crop_size, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type='TimmBackbone',
        model='vit_small_patch14_dinov2.lvd142m',
        img_size=crop_size,
        patch_size=16,
        tuning='full'),
    decode_head=dict(
        _delete_=True,
        type='SegformerHead',
        in_channels=[384, 384, 384, 384],
        in_index=[0, 1, 2, 3],
        channels=256,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)),
    test_cfg=dict(_delete_=True, mode='slide', crop_size=crop_size, stride=(341, 341)))
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    constructor='LayerDecayConstructor',
    paramwise_cfg=dict(backbone_lr_mult=0.1))
