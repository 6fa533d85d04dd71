# Train on GTA5, evaluate on its held-out part and on the targets of targets/robustnet.py.
_base_ = ['./gta5_to_cityscapes.py', './targets/robustnet.py']
val_dataloader = dict(dataset=dict(datasets=_base_.source_val + _base_.targets))
test_dataloader = val_dataloader
