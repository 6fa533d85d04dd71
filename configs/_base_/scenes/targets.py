# All domains of the embedded scenes: each network is evaluated on those that it has not seen too.
scenes_root = '{{$IBN_SEG_SCENES:work_dirs/demo/scenes}}'
acdc_root = scenes_root + '/acdc'
targets = [
    dict(type='GTA5Dataset', target='game', data_root=scenes_root + '/gta5', split='val'),
    dict(
        type='RawCityscapesDataset',
        target='dashcam',
        data_root=scenes_root + '/cityscapes',
        split='val'),
    dict(
        type='RawACDCDataset', target='night', data_root=acdc_root, condition='night', split='val'),
    dict(type='RawACDCDataset', target='fog', data_root=acdc_root, condition='fog', split='val'),
]
