"""FACT's amplitude mix of whole frames."""

from ibn_seg.methods.method import Method
from ibn_seg.methods.pipeline_steps import Step

METHOD = Method(
    name="FACT mix",
    summary="mixes the amplitudes of two source images, in training",
    paper="Xu et al., CVPR 2021, arXiv:2105.11120",
    kind="images",
    places=("spectrum of frames",),
    steps=(Step({"type": "AmplitudeMix"}, whole_frame=True),),
)
