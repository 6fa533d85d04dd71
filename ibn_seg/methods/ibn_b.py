"""IBN-b of the IBN-Net paper."""

from ibn_seg.methods.method import Method

METHOD = Method(
    name="IBN-b",
    summary="instance norm in the stem and after the last residual addition of stages 1 and 2",
    paper="Pan et al., ECCV 2018, arXiv:1807.09441",
    settings={"model.backbone.ibn": "b"},
    spelled=("model.backbone.ibn_stages", "model.backbone.ibn_stem"),
    # A share of instance-normalised channels; backbones refuse it where no norm is split.
    excluded=("model.backbone.ibn_ratio",),
    backbones="IBN",
)
