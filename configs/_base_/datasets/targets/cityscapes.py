# German streets by day: the target of most tables.
targets = [
    dict(
        type='RawCityscapesDataset', data_root='{{$IBN_SEG_CITYSCAPES:data/cityscapes}}',
        split='val'),
]
