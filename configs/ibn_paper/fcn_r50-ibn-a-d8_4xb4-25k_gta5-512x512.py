"""IBN-a in the network of the IBN-Net paper: GTA5 -> Cityscapes.

Reproduces  Pan et al., ECCV 2018 (arXiv 1807.09441), row IBN-Net50-a, as far as it is known.
Command     tools/dist_train.sh configs/ibn_paper/fcn_r50-ibn-a-d8_4xb4-25k_gta5-512x512.py 4
Expected    no run on the real data sets has been made with this code yet

All settings are those of the BN config but for:
  layout       a: IBN replaces the first norm of each block in stages 1-3, ratio 0.5 (read)
  weights      the authors' ImageNet weights of IBN-Net50-a (recalled)
"""
_base_ = './fcn_r50-d8_4xb4-25k_gta5-512x512.py'
experiment = dict(method='IBN-a')
model = dict(
    backbone=dict(
        ibn='a',
        init_cfg=dict(type='Pretrained', checkpoint='ibn://resnet50_ibn_a')))
