# Train on GTA5, SYNTHIA and UrbanSyn, evaluate on their held-out parts and on the targets of
# targets/adverse.py.
_base_ = ['./gta5_synthia_urbansyn_to_cityscapes.py', './targets/adverse.py']
val_dataloader = dict(dataset=dict(datasets=_base_.source_val + _base_.targets))
test_dataloader = val_dataloader
