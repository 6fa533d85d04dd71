"""The BN baseline of the IBN-Net paper's segmentation table: Cityscapes -> GTA5.

Reproduces  Pan et al., ECCV 2018 (arXiv 1807.09441), row ResNet-50, as far as it is known.
Command     tools/dist_train.sh configs/ibn_paper/fcn_r50-d8_4xb4-15k_cityscapes-512x512.py 4
Expected    no run on the real data sets has been made with this code yet

As the GTA5 -> Cityscapes config, but for:
  source       all 2,975 frames of Cityscapes train (ours: how many the paper used is not known)
  input        random crops from the full 2048x1024 (recalled)
  schedule     80 epochs (recalled) of 2,975 frames, 14,875 iterations rounded to 15,000 (ours)
"""
_base_ = [
    '../_base_/models/fcn_r50-d8.py',
    '../_base_/datasets/cityscapes_to_gta5.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
experiment = dict(method='BN', backbone='ResNet-50', segmentor='FCN, output stride 8')

train_pipeline = [
    dict(
        type='LoadRandomCrop', scale=(2048, 1024), ratio_range=(0.7, 1.4), crop_size=(512, 512),
        cat_max_ratio=0.75, flip_prob=0.5),
    {{_base_.pack}},
]
gta5_test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1024, 563), keep_ratio=True),
    dict(type='LoadUrbanLabels'),
    {{_base_.pack}},
]

model = dict(
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                type='GTA5Dataset',
                data_root={{_base_.gta5_root}},
                split='val',
                pipeline=gta5_test_pipeline),
            dict(type='RawCityscapesDataset', data_root={{_base_.cityscapes_root}}, split='val'),
        ]))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(weight_decay=1e-4))
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=15000, by_epoch=False)
]
train_cfg = dict(max_iters=15000, val_interval=1500)
