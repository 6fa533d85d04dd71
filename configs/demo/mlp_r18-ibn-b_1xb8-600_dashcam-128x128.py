"""IBN-b on the embedded street scenes, trained on the target's own training set.

Reproduces  the idea of the IBN-Net paper (Pan et al., ECCV 2018) in small; no published figure.
Command     ibn-seg scenes work_dirs/demo/scenes --source 500 --target-train 300 \\
                --target-val 100 --seed 1
            ibn-seg train ibn_seg::demo/mlp_r18-ibn-b_1xb8-600_dashcam-128x128
Time        about 4 minutes on two CPU cores

All settings are those of the BN config but for:
  layout       b: IN in the stem and after the addition that ends stages 1 and 2 (read)
"""
_base_ = './mlp_r18_1xb8-600_dashcam-128x128.py'
experiment = dict(method='IBN-b')
model = dict(backbone=dict(ibn='b'))
