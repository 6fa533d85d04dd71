"""IBN-b on the embedded street scenes: all settings but the layout are those of the BN config.

Command     ibn-seg scenes work_dirs/demo/scenes --source 500 --target-train 20 \\
                --target-val 100 --seed 1
            ibn-seg train ibn_seg::demo/r18-ibn-b_mlp_1xb8-600_scenes-128x128
Time        about 3 minutes on two CPU cores
"""
_base_ = './r18_mlp_1xb8-600_scenes-128x128.py'
experiment = dict(method='IBN-b')
model = dict(backbone=dict(ibn='b'))
