# Train on SYNTHIA, evaluate on its held-out part and on the targets of targets/rein.py.
_base_ = ['./synthia_to_cityscapes.py', './targets/rein.py']
val_dataloader = dict(dataset=dict(datasets=_base_.source_val + _base_.targets))
test_dataloader = val_dataloader
