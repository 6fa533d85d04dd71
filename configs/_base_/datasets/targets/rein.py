# The targets of Rein's tables; evaluate with `--protocol rein`.
targets = [
    dict(
        type='RawCityscapesDataset', data_root='{{$IBN_SEG_CITYSCAPES:data/cityscapes}}',
        split='val'),
    dict(type='RawBDD100KDataset', data_root='{{$IBN_SEG_BDD100K:data/bdd100k}}', split='val'),
    dict(
        type='MapillaryVistasDataset', data_root='{{$IBN_SEG_MAPILLARY:data/mapillary}}',
        mapping='rein'),
]
