# CamVid's daylight: the last quarter of each of its three videos.
targets = [
    dict(
        type='CamVidDataset',
        target='camvid-day',
        data_root='{{$IBN_SEG_CAMVID:data/camvid}}',
        split='day_val'),
]
