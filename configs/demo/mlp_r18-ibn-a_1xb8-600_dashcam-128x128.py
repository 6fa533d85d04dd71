"""IBN-a on the embedded street scenes, trained on the target's own training set.

Reproduces  the idea of the IBN-Net paper (Pan et al., ECCV 2018) in small; no published figure.
Command     ibn-seg scenes work_dirs/demo/scenes --source 500 --target-train 300 \\
                --target-val 100 --seed 1
            ibn-seg train ibn_seg::demo/mlp_r18-ibn-a_1xb8-600_dashcam-128x128
Time        about 4 minutes on two CPU cores

All settings are those of the BN config but for:
  layout       a: IBN replaces the first norm of each block in stages 1-3, ratio 0.5 (read)
"""
_base_ = './mlp_r18_1xb8-600_dashcam-128x128.py'
experiment = dict(method='IBN-a')
model = dict(backbone=dict(ibn='a'))
