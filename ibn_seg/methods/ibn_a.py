"""IBN-a of the IBN-Net paper."""

from ibn_seg.methods.method import PLACEMENT, Method

METHOD = Method(
    name="IBN-a",
    summary=(
        "instance norm for half of the channels of each block's first norm, in stages 1 to 3; it "
        "takes out the style of the single image"
    ),
    paper="Pan et al., ECCV 2018, arXiv:1807.09441",
    settings={"model.backbone.ibn": "a"},
    spelled=PLACEMENT,
    backbones="IBN",
    places=("norms",),
)
