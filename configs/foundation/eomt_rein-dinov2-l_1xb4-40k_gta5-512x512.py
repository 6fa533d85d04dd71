"""Rein with DINOv2-L, GTA5 -> Cityscapes, BDD100K, Mapillary: the published row but for its head.

Reproduces  Wei et al., CVPR 2024 (arXiv 2312.04265): 66.4 on Cityscapes, 60.4 on BDD100K and 66.1 on
            Mapillary with Mask2Former; 66.7 on Cityscapes with the released weights
Command     ibn-seg train ibn_seg::foundation/eomt_rein-dinov2-l_1xb4-40k_gta5-512x512 \\
                --cfg-options model.backbone.pretrained=dinov2_vitl14_pretrain.pth
            ibn-seg test ... --protocol rein
Expected    no run on the real data sets has been made with this code yet

`pretrained` is the file that DINOv2 publishes, or True for timm's copy of it. One GPU is enough: the
backbone keeps about 5 GiB of activations for four crops.

Differs from the published row, which was read in its code (w1oves/Rein at 7da85bc):
  head         the queries of Rein's link go through the last four blocks, as in EoMT (ours: the
               published Mask2Former needs compiled operators); the loss is the same
  features     with the final norm, which this head needs (ours: Rein takes four blocks without it)
  queries      the link gives their content (ours: it gives Rein's positions, and content from them)
  attention    masks fade from iteration 10,000 to 35,000 (ours, in EoMT's way)

As published:
  network      DINOv2 ViT-L, patches of 14 converted to 16 by a bicubic resize of the kernel, positions
               of 37x37 to 32x32 by a bicubic resize, DINOv2's own way at other sizes (read). timm
               converts in other ways: without `conversion` and `positions` this is another model
  tokens       100 of rank 16 in all blocks, factor 0.001 at first, backbone in eval mode (read)
  loss         cross entropy 2, no object 0.1, mask 5, dice 5, at 12,544 points (read)
  optimiser    AdamW, lr 1e-4, weight decay 0.05 but for norms, tokens and Rein's factor, no clipping;
               poly 0.9 without warm-up, 40,000 iterations of 4, float32 (read)
  geometry     shorter side one of 256, 307, ..., 1024, longer at most 2048, crop 512 with at most 75 %
               of one class, mirroring (read)
  colour       mmseg's photometric distortion (read)
  normalising  mean and deviation of ImageNet, which are DINOv2's own (read)
  data         all of GTA5, so its scores on GTA5 are no held-out ones (read)
  scoring      windows of 512 with a stride of 341; sizes by the protocol `rein` (read)
"""
_base_ = [
    '../_base_/models/fcn_r50-d8.py',
    '../_base_/datasets/gta5_to_rein.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
experiment = dict(
    method='Rein', backbone='DINOv2-L', segmentor='mask transformer, patches of 16', source='gta5')

crop_size = (512, 512)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadUrbanLabels'),
    dict(
        type='RandomChoiceResize',
        scales=[int(512 * step * 0.1) for step in range(5, 21)],
        resize_type='ResizeShortestEdge',
        max_size=2048),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    {{_base_.pack}},
]
model = dict(
    type='MaskTransformerSegmentor',
    data_preprocessor=dict(
        size=crop_size, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        _delete_=True,
        type='TimmBackbone',
        model='vit_large_patch14_dinov2.lvd142m',
        img_size=crop_size,
        patch_size=16,
        conversion='bicubic',
        positions='dinov2',
        out_indices=[23],
        norm=True,
        tuning=dict(mode='rein', tokens=100, rank=16, link=True, query_width=1024)),
    decode_head=dict(
        _delete_=True,
        type='MaskTransformerHead',
        in_channels=1024,
        num_classes=19,
        queries=100,
        linked=True,
        anneal=[(10_000, 20_000), (15_000, 25_000), (20_000, 30_000), (25_000, 35_000)]),
    test_cfg=dict(_delete_=True, mode='slide', crop_size=crop_size, stride=(341, 341)))
train_dataloader = dict(batch_size=4, dataset=dict(split='all', pipeline=train_pipeline))
# The keys are REIN_PARAMWISE of ibn_seg/foundation/layer_decay.py.
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(
        custom_keys={
            'norm': dict(decay_mult=0.0),
            'learnable_tokens': dict(decay_mult=0.0),
            'reins.scale': dict(decay_mult=0.0),
        },
        norm_decay_mult=0.0))
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=40_000, by_epoch=False)]
