# Train on UrbanSyn, evaluate on its held-out part and on the targets of targets/world.py.
_base_ = ['./urbansyn_to_cityscapes.py', './targets/world.py']
val_dataloader = dict(dataset=dict(datasets=_base_.source_val + _base_.targets))
test_dataloader = val_dataloader
