"""DeepLabV3+ with IBN-a on ResNet-101, GTA5 -> Cityscapes.

Reproduces  the protocol of RobustNet with a method that its tables do not hold, ResNet-101.
Command     tools/dist_train.sh configs/deeplabv3plus/deeplabv3plus_r101-ibn-a-d16_4xb4-40k_gta5-768x768.py 4
Expected    no run on the real data sets has been made with this code yet

All settings are those of the BN config of the same depth but for:
  layout       a: IBN replaces the first norm of each block in stages 1-3, ratio 0.5 (ours)
  weights      plain ImageNet ResNet-101 of torchvision, batch norms split into IN and BN; an IN
               without counterpart starts at scale 1, shift 0. No IBN-Net weights (ours)
"""
_base_ = './deeplabv3plus_r101-d16_4xb4-40k_gta5-768x768.py'
experiment = dict(method='IBN-a')
model = dict(backbone=dict(ibn='a'))
