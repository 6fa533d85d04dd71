"""Procedural street scenes with the 19 Cityscapes classes, in six domains.

`render` makes one frame. `write_pair` writes a source data set in the GTA5 layout and a target data
set in the Cityscapes layout. It also writes night and fog, in the ACDC layout, a source whose
frames vary as widely as the world, and frames with things of no class. `gta5_frames`,
`varied_frames`, `cityscapes_frames`, `acdc_frames`, `oddity_frames` and `write_frames` write one of
them, of any size. `write_styles` writes the same scenes in several styles.
"""

from ibn_seg.scenes.frames import (
    Frame,
    acdc_frames,
    cityscapes_frames,
    gta5_frames,
    oddity_frames,
    varied_frames,
)
from ibn_seg.scenes.render import render
from ibn_seg.scenes.write import write_frame, write_frames, write_pair, write_styles

__all__ = [
    "Frame",
    "acdc_frames",
    "cityscapes_frames",
    "gta5_frames",
    "oddity_frames",
    "render",
    "varied_frames",
    "write_frame",
    "write_frames",
    "write_pair",
    "write_styles",
]
