"""PASTA of whole frames."""

from ibn_seg.methods.method import Method
from ibn_seg.methods.pipeline_steps import Step

METHOD = Method(
    name="PASTA",
    summary="changes the amplitudes of an image at random, more at high frequencies, in training",
    paper="Chattopadhyay et al., ICCV 2023, arXiv:2212.00979",
    kind="images",
    places=("spectrum of frames",),
    steps=(Step({"type": "PASTA"}, whole_frame=True),),
)
