# RobustNet's DeepLabV3+: its heads have ordinary convolutions, and all resizing aligns corners. The
# main head has no dropout, the auxiliary head has 512 channels.
_base_ = ['./deeplabv3plus_r50-d16.py']
model = dict(
    decode_head=dict(type='DeepLabV3PlusHead', dropout_ratio=0.0, align_corners=True),
    auxiliary_head=dict(channels=512, align_corners=True))
