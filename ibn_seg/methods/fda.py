"""FDA from source images alone."""

from ibn_seg.methods.method import Method
from ibn_seg.methods.pipeline_steps import Step

METHOD = Method(
    name="FDA",
    summary="takes low frequencies from another source image, in training",
    paper="Yang and Soatto, CVPR 2020, arXiv:2004.05498",
    kind="images",
    places=("spectrum of frames",),
    steps=(Step({"type": "FourierStyle"}, whole_frame=True),),
)
