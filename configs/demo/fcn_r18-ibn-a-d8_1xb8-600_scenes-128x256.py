"""IBN-a on the embedded street scenes: all settings but the layout are those of the BN config.

Command     ibn-seg scenes work_dirs/demo/scenes
            ibn-seg train ibn_seg::demo/fcn_r18-ibn-a-d8_1xb8-600_scenes-128x256
Time        about 3 minutes on two CPU cores
"""
_base_ = './fcn_r18-d8_1xb8-600_scenes-128x256.py'
experiment = dict(method='IBN-a')
model = dict(backbone=dict(ibn='a'))
