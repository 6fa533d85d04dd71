"""The embedded camera networks, which `ibn-seg reid render` draws, in Market-1501's layout."""

from dataclasses import replace

from ibn_seg.reid.sets.market1501 import Market1501

_CARD = replace(
    Market1501.CARD, expected={}, source="`ibn-seg reid render`", terms="none", citation=""
)


class CamerasSource(Market1501):
    """The network in the source's style: bright, saturated, sharp."""

    INNER = ("source",)
    CARD = replace(_CARD, title="embedded cameras, source")


class CamerasTarget(Market1501):
    """The network in the target's style: overcast, dull, with noise."""

    INNER = ("target",)
    CARD = replace(_CARD, title="embedded cameras, target")
