"""The colour changes of ISW's mask as an augmentation."""

from ibn_seg.methods.method import Method
from ibn_seg.methods.pipeline_steps import colour_steps

METHOD = Method(
    name="strong colour",
    summary="changes colours at random as strongly as for ISW's mask, in training",
    paper="Choi et al., CVPR 2021, arXiv:2103.15597",
    kind="images",
    places=("colours of crops",),
    steps=colour_steps(0.8, hue=0.3, prob=1.0),
)
