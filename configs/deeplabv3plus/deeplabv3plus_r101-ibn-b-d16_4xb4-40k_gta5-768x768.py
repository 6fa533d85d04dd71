"""DeepLabV3+ with IBN-b on ResNet-101, GTA5 -> Cityscapes.

Reproduces  the protocol of RobustNet (Choi et al., CVPR 2021) with the layout of its row "IBN-Net" on
            ResNet-101, which it ran with another stem and output stride.
Command     tools/dist_train.sh configs/deeplabv3plus/deeplabv3plus_r101-ibn-b-d16_4xb4-40k_gta5-768x768.py 4
Expected    no run on the real data sets has been made with this code yet

All settings are those of the BN config of the same depth but for:
  layout       b: IN in the stem and after the addition that ends stages 1 and 2 (ours)
  weights      plain ImageNet ResNet-101 of torchvision, batch norms split into IN and BN; an IN
               without counterpart starts at scale 1, shift 0. No IBN-Net weights (ours)
"""
_base_ = './deeplabv3plus_r101-d16_4xb4-40k_gta5-768x768.py'
experiment = dict(method='IBN-b')
model = dict(backbone=dict(ibn='b'))
