"""The protocol's jitter and blur of colours."""

from ibn_seg.methods.method import Method
from ibn_seg.methods.pipeline_steps import colour_steps

METHOD = Method(
    name="jitter and blur",
    summary="changes colours and sharpness at random as RobustNet's protocol does, in training",
    paper="Choi et al., CVPR 2021, arXiv:2103.15597",
    kind="images",
    places=("colours of crops",),
    steps=colour_steps(0.4, hue=0.1, prob=0.5),
)
