"""A ViT-tiny from scratch on the embedded street scenes, beside the ResNets of `ibn-seg demo`.

Reproduces  no published figure; it shows what each way of tuning costs, in small.
Command     ibn-seg scenes work_dirs/demo/scenes --source 500 --target-train 20 \\
                --target-val 100 --seed 1
            ibn-seg train ibn_seg::foundation/mlp_vit-tiny_1xb8-600_scenes-128x128
Time        about 7 minutes on a CPU core, estimated from ten iterations

The source, crops, head and schedule are those of `demo/mlp_r18_1xb8-600_scenes-128x128`. The
network is timm's `vit_tiny_patch16_224`, drawn at random, with its own mean and deviation. Other
networks and ways of tuning are options, such as `model.backbone.tuning=lora`. A network that is
frozen at random shows what its head alone can learn. All settings are ours.
"""
_base_ = ['../demo/mlp_r18_1xb8-600_scenes-128x128.py']
experiment = dict(
    method='full', backbone='ViT-tiny', segmentor='all-MLP head, patches of 16', source='game')

model = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(
        _delete_=True,
        type='TimmBackbone',
        model='vit_tiny_patch16_224',
        img_size=(128, 128),
        tuning='full'),
    decode_head=dict(in_channels=[192, 192, 192, 192]))
# Transformers have no convolutions that want channels last.
channels_last = False
optim_wrapper = dict(constructor='LayerDecayConstructor')
