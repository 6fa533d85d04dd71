"""The table of layers that randomise features, by the name that configs give them."""

from ibn_seg.layers.style.exchange import CrossNorm, PAdaIN
from ibn_seg.layers.style.mix_style import EFDMix, MixStyle
from ibn_seg.layers.style.perturbation import DSU, NormalizationPerturbationPlus
from ibn_seg.layers.style.random_convolution import RandConv
from ibn_seg.layers.style.randomiser import Randomiser

RANDOMISERS: dict[str, type[Randomiser]] = {
    kind.__name__: kind
    for kind in (MixStyle, EFDMix, DSU, PAdaIN, CrossNorm, NormalizationPerturbationPlus, RandConv)
}
