"""DeepLabV3+ with IBN-b on ResNet-50, GTA5 -> Cityscapes.

Reproduces  the protocol of RobustNet (Choi et al., CVPR 2021), row "IBN-Net", ResNet-50.
Command     tools/dist_train.sh configs/deeplabv3plus/deeplabv3plus_r50-ibn-b-d16_4xb4-40k_gta5-768x768.py 4
Expected    no run on the real data sets has been made with this code yet

All settings are those of the BN config of the same depth but for:
  layout       b: IN in the stem and after the addition that ends stages 1 and 2 (read)
  weights      plain ImageNet ResNet-50 of torchvision, batch norms split into IN and BN; an IN
               without counterpart starts at scale 1, shift 0. No IBN-Net weights (read)
"""
_base_ = './deeplabv3plus_r50-d16_4xb4-40k_gta5-768x768.py'
experiment = dict(method='IBN-b')
model = dict(backbone=dict(ibn='b'))
