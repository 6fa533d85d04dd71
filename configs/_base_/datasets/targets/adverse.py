# Weather and night: each condition, and each density of fog, is a target of its own.
acdc_root = '{{$IBN_SEG_ACDC:data/acdc}}'
foggy_root = '{{$IBN_SEG_FOGGY_CITYSCAPES:data/foggy_cityscapes}}'
dark_zurich_root = '{{$IBN_SEG_DARK_ZURICH:data/dark_zurich}}'
targets = [
    dict(type='RawACDCDataset', data_root=acdc_root, condition='fog'),
    dict(type='RawACDCDataset', data_root=acdc_root, condition='night'),
    dict(type='RawACDCDataset', data_root=acdc_root, condition='rain'),
    dict(type='RawACDCDataset', data_root=acdc_root, condition='snow'),
    dict(type='RawDarkZurichDataset', data_root=dark_zurich_root),
    dict(type='RawFoggyCityscapesDataset', data_root=foggy_root, beta='0.005'),
    dict(type='RawFoggyCityscapesDataset', data_root=foggy_root, beta='0.01'),
    dict(type='RawFoggyCityscapesDataset', data_root=foggy_root, beta='0.02'),
]
