"""The protocol's jitter and blur of colours."""

from ibn_seg.methods.method import PLACEMENT, Method
from ibn_seg.methods.pipeline_steps import Step

METHOD = Method(
    name="jitter and blur",
    summary="changes colours and sharpness at random as RobustNet's protocol does, in training",
    paper="Choi et al., CVPR 2021, arXiv:2103.15597",
    settings={"model.backbone.ibn": None},
    spelled=PLACEMENT,
    kind="images",
    places=("colours of crops",),
    steps=(
        Step(
            {
                "type": "ColorJitter",
                "brightness": 0.4,
                "contrast": 0.4,
                "saturation": 0.4,
                "hue": 0.1,
                "prob": 0.5,
            }
        ),
        Step({"type": "RandomGaussianBlur", "sigma": (0.15, 1.3), "prob": 1.0}),
    ),
)
