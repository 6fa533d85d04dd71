"""DeepLabV3+ with BN, GTA5 -> Cityscapes: the baseline that later papers compare on.

Reproduces  the protocol of RobustNet (Choi et al., CVPR 2021), row "Baseline", ResNet-50.
Command     tools/dist_train.sh configs/deeplabv3plus/deeplabv3plus_r50-d16_4xb4-40k_gta5-768x768.py 4
Expected    no run on the real data sets has been made with this code yet

Settings, each marked as read in a source, inferred from its code, recalled, or chosen by us:
  network      DeepLabV3+, output stride 16, 48-channel low-level branch, auxiliary head 0.4 on the
               third stage, SyncBN (read)
  heads        ordinary convolutions, 256 channels, dilations 6/12/18, no dropout; auxiliary head of
               512 channels with dropout 0.1; corners aligned (read)
  layout       none: batch norm throughout (read)
  weights      plain ImageNet ResNet-50 of torchvision (read)
  optimiser    SGD, momentum 0.9, weight decay 5e-4, lr 0.01, poly 0.9, 40,000 iterations (read)
  batch        16 = 4 GPUs x 4 (read)
  geometry     random scale 0.5-2.0 of 1914x1052, crop 768, mirroring (read)
  colour       jitter 0.4/0.4/0.4/0.1 with probability 0.5, Gaussian blur 0.15-1.3 always (read)
  sampling     uniform (ours: RobustNet draws half of its frames class-uniformly); a crop with over
               75 % of one class is drawn again (ours)
  seed         0 (ours: RobustNet fixes 304)
  source       four fifths of GTA5 by frame number, data/README.md (ours: RobustNet uses the official
               training split)
  checkpoint   the last one (inferred: RobustNet evaluates once, at the end)
  scoring      native size, whole image, single scale (read)
"""
_base_ = [
    '../_base_/models/deeplabv3plus_r50-d16_robustnet.py',
    '../_base_/datasets/gta5_to_cityscapes.py',
    '../_base_/schedules/sgd_poly_40k.py',
    '../_base_/default_runtime.py',
]
experiment = dict(method='BN', backbone='ResNet-50', segmentor='DeepLabV3+, output stride 16')
