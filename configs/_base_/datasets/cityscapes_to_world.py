# Train on Cityscapes, evaluate on its validation set and on the targets of targets/world.py.
_base_ = ['./cityscapes_to_gta5.py', './targets/world.py']
val_dataloader = dict(dataset=dict(datasets=_base_.source_val + _base_.targets))
test_dataloader = val_dataloader
