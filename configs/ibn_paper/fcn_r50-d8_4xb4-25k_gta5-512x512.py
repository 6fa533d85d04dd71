"""The BN baseline of the IBN-Net paper's segmentation table: GTA5 -> Cityscapes.

Reproduces  Pan et al., ECCV 2018 (arXiv 1807.09441), row ResNet-50, as far as it is known.
Command     tools/dist_train.sh configs/ibn_paper/fcn_r50-d8_4xb4-25k_gta5-512x512.py 4
Expected    no run on the real data sets has been made with this code yet

Settings, each marked as read in a source, recalled from the paper, or chosen by us:
  network      dilated ResNet-50, output stride 8, one convolutional classifier, bilinear
               upsampling x8 (read)
  norms        SyncBN; no auxiliary head, no dropout (ours)
  weights      ImageNet weights of the same variant (recalled); for BN those of torchvision (ours)
  source       a quarter of the GTA5 training frames (recalled); split as data/README.md (ours)
  input        GTA5 frames resized to 1024x563, then random crops (read)
  crop         512x512 (ours: the paper does not give its crop size)
  augmentation random scale 0.7-1.4 and mirroring, no colour jitter, no blur (recalled); a crop with
               over 75 % of one class is drawn again (ours)
  optimiser    SGD, momentum 0.9, weight decay 1e-4, lr 0.01, poly 0.9, batch 16 (recalled)
  schedule     80 epochs (recalled) of 4,998 frames, 24,990 iterations rounded to 25,000 (ours)
  seed         0 (ours)
  checkpoint   the last one (ours)
  scoring      at native label size, whole image (ours)
"""
_base_ = [
    '../_base_/models/fcn_r50-d8.py',
    '../_base_/datasets/gta5_to_cityscapes.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
experiment = dict(method='BN', backbone='ResNet-50', segmentor='FCN, output stride 8')

train_pipeline = [
    dict(
        type='LoadRandomCrop', scale=(1024, 563), ratio_range=(0.7, 1.4), crop_size=(512, 512),
        cat_max_ratio=0.75, flip_prob=0.5),
    {{_base_.pack}},
]
# The labels are loaded after resizing: predictions are scored at the labels' own size.
gta5_test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1024, 563), keep_ratio=True),
    dict(type='LoadUrbanLabels'),
    {{_base_.pack}},
]

model = dict(
    backbone=dict(init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50')))
train_dataloader = dict(dataset=dict(every=4, pipeline=train_pipeline))
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
    dict(type='PolyLR', power=0.9, eta_min=0.0, begin=0, end=25000, by_epoch=False)
]
train_cfg = dict(max_iters=25000, val_interval=2500)
