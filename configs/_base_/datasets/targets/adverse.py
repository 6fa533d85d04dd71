# Weather and night: each condition, and each density of fog, is a target of its own.
targets = [
    dict(type='RawACDCDataset', data_root='{{$IBN_SEG_ACDC:data/acdc}}', condition='fog'),
    dict(type='RawACDCDataset', data_root='{{$IBN_SEG_ACDC:data/acdc}}', condition='night'),
    dict(type='RawACDCDataset', data_root='{{$IBN_SEG_ACDC:data/acdc}}', condition='rain'),
    dict(type='RawACDCDataset', data_root='{{$IBN_SEG_ACDC:data/acdc}}', condition='snow'),
    dict(type='RawDarkZurichDataset', data_root='{{$IBN_SEG_DARK_ZURICH:data/dark_zurich}}'),
    dict(
        type='RawFoggyCityscapesDataset', data_root='{{$IBN_SEG_FOGGY_CITYSCAPES:data/foggy_cityscapes}}', beta='0.005'),
    dict(
        type='RawFoggyCityscapesDataset', data_root='{{$IBN_SEG_FOGGY_CITYSCAPES:data/foggy_cityscapes}}', beta='0.01'),
    dict(
        type='RawFoggyCityscapesDataset', data_root='{{$IBN_SEG_FOGGY_CITYSCAPES:data/foggy_cityscapes}}', beta='0.02'),
]
