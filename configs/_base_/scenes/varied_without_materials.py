# Train on the rendered source `varied` without one kind of variation.
_base_ = ['../../photographs/mlp_r18_1xb8-1200_varied-128x128.py']
experiment = dict(source='varied_without_materials')
root = '{{$IBN_SEG_SCENES:work_dirs/demo/scenes}}/varied_without_materials'
train_dataloader = dict(dataset=dict(target='varied_without_materials', data_root=root))
val_dataloader = dict(
    dataset=dict(
        datasets=[
            dict(type='GTA5Dataset', target='varied_without_materials', data_root=root, split='val'),
        ]))
test_dataloader = val_dataloader
val_evaluator = dict(source='varied_without_materials')
test_evaluator = val_evaluator
