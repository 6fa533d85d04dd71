"""The colour changes of ISW's mask as an augmentation."""

from ibn_seg.methods.method import PLACEMENT, Method
from ibn_seg.methods.pipeline_steps import Step

METHOD = Method(
    name="strong colour",
    summary="changes colours at random as strongly as for ISW's mask, in training",
    paper="Choi et al., CVPR 2021, arXiv:2103.15597",
    settings={"model.backbone.ibn": None},
    spelled=PLACEMENT,
    kind="images",
    places=("colours of crops",),
    steps=(
        Step(
            {
                "type": "ColorJitter",
                "brightness": 0.8,
                "contrast": 0.8,
                "saturation": 0.8,
                "hue": 0.3,
                "prob": 1.0,
            }
        ),
        Step({"type": "RandomGaussianBlur", "sigma": (0.15, 1.3), "prob": 1.0}),
    ),
)
