# The embedded experiment's network and schedule on the training set of the target fog: its oracle.
_base_ = './night.py'
experiment = dict(source='fog')
train_dataloader = dict(dataset=dict(target='fog', condition='fog'))
val_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(
                type='RawACDCDataset',
                target='fog',
                data_root={{_base_.acdc_root}},
                condition='fog',
                split='val'),
        ]))
test_dataloader = val_dataloader
val_evaluator = dict(source='fog')
test_evaluator = val_evaluator
