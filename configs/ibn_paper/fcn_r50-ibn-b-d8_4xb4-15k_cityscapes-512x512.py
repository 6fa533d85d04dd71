"""IBN-b in the network of the IBN-Net paper: Cityscapes -> GTA5.

Reproduces  Pan et al., ECCV 2018 (arXiv 1807.09441), row IBN-Net50-b, as far as it is known.
Command     tools/dist_train.sh configs/ibn_paper/fcn_r50-ibn-b-d8_4xb4-15k_cityscapes-512x512.py 4
Expected    no run on the real data sets has been made with this code yet

All settings are those of the BN config but for:
  layout       b: IN in the stem and after the addition that ends stages 1 and 2 (read)
  weights      the authors' ImageNet weights of IBN-Net50-b (recalled)
"""
_base_ = './fcn_r50-d8_4xb4-15k_cityscapes-512x512.py'
experiment = dict(method='IBN-b')
model = dict(
    backbone=dict(
        ibn='b',
        init_cfg=dict(type='Pretrained', checkpoint='ibn://resnet50_ibn_b')))
