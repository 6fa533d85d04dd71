"""DeepLabV3+ with BN on ResNet-101, GTA5 -> Cityscapes.

Reproduces  the protocol of RobustNet (Choi et al., CVPR 2021) on ResNet-101, which it ran with another
            stem and output stride.
Command     tools/dist_train.sh configs/deeplabv3plus/deeplabv3plus_r101-d16_4xb4-40k_gta5-768x768.py 4
Expected    no run on the real data sets has been made with this code yet

All settings are those of the ResNet-50 config but for:
  network      ResNet-101 at output stride 16 (ours: RobustNet's ResNet-101 runs use output stride 8)
  layout       none: batch norm throughout (read)
  weights      plain ImageNet ResNet-101 of torchvision (ours: RobustNet uses a deep-stem checkpoint)
"""
_base_ = './deeplabv3plus_r50-d16_4xb4-40k_gta5-768x768.py'
experiment = dict(backbone='ResNet-101')
model = dict(
    backbone=dict(
        depth=101, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101')))
