# Streets of other parts of the world.
targets = [
    dict(type='IDDDataset', data_root='{{$IBN_SEG_IDD:data/idd}}', split='val'),
    dict(type='WildDash2Dataset', data_root='{{$IBN_SEG_WILDDASH2:data/wilddash2}}'),
    dict(
        type='MapillaryVistasDataset', data_root='{{$IBN_SEG_MAPILLARY:data/mapillary}}',
        mapping='v2.0'),
]
