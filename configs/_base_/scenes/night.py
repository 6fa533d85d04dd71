# The embedded experiment's network and schedule on the training set of the target night: its oracle.
_base_ = '../../demo/mlp_r18_1xb8-600_scenes-128x128.py'
acdc_root = '{{$IBN_SEG_SCENES:work_dirs/demo/scenes}}/acdc'
experiment = dict(source='night')
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='RawACDCDataset',
        target='night',
        data_root=acdc_root,
        condition='night',
        split='train',
        pipeline={{_base_.train_pipeline}}))
val_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                type='RawACDCDataset',
                target='night',
                data_root=acdc_root,
                condition='night',
                split='val'),
        ]))
test_dataloader = val_dataloader
val_evaluator = dict(source='night')
test_evaluator = val_evaluator
