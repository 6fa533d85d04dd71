"""IBN-a of the IBN-Net paper."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="IBN-a",
    summary=(
        "instance norm for half of the channels of each block's first norm, in stages 1 to 3; it "
        "takes out the style of the single image"
    ),
    paper="Pan et al., ECCV 2018, arXiv:1807.09441",
    ibn="a",
    backbones="IBN",
    places=("norms",),
)
