"""Transforms of whole frames in the frequency domain: PASTA, FACT's amplitude mix, FDA."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmengine.registry import TRANSFORMS

from ibn_seg.errors import UserError
from ibn_seg.transforms.appearance import check_range, uint8_image
from ibn_seg.transforms.spectrum import (
    mix_amplitudes,
    pasta,
    pasta_strength,
    swap_low_frequencies,
)

# Where a data set puts the path of another image of its own, for transforms that ask for it.
PARTNER = "partner_path"


@TRANSFORMS.register_module()
class PASTA(BaseTransform):
    """Multiply the amplitudes of a frame by noise that grows with the frequency.

    It stands before scaling and cropping, so every frame is seen whole. Required and modified key:
    `img`, (H, W, 3) uint8. Odd sizes are treated as the paper means even ones; the released code
    gives the mean brightness the noise of frequency 1 there.

    Source: Chattopadhyay et al., ICCV 2023, arXiv:2212.00979. Defaults are those for ResNet-50.

    Args:
        alpha: Slope of the strength over the frequency.
        k: Its exponent.
        beta: Strength at frequency 0.

    Raises:
        UserError: A value is below 0, or the image is not (H, W, 3) uint8.
    """

    def __init__(self, alpha: float = 3.0, k: float = 2.0, beta: float = 0.25) -> None:
        for name, value in (("alpha", alpha), ("k", k), ("beta", beta)):
            check_range("PASTA", name, value, np.inf)
        self.alpha = alpha
        self.k = k
        self.beta = beta

    def transform(self, results: dict) -> dict:
        """Change `results['img']`."""
        image = uint8_image(results, "PASTA")
        # In the order of the released code: channels first, red first.
        levels = image[..., ::-1].transpose(2, 0, 1) / 255.0
        strength = pasta_strength(*levels.shape[1:], self.alpha, self.k, self.beta)
        noise = 1 + strength * np.random.standard_normal(levels.shape)
        changed = (255 * pasta(levels, noise)).astype(np.uint8)
        results["img"] = np.ascontiguousarray(changed.transpose(1, 2, 0)[..., ::-1])
        return results

    def __repr__(self) -> str:
        return f"PASTA(alpha={self.alpha}, k={self.k}, beta={self.beta})"


class PartnerTransform(BaseTransform):
    """Base of transforms that need another image of the data set.

    `UrbanSceneDataset` draws one and gives its path to pipelines with such a transform. Required
    keys: `img`, (H, W, 3) uint8, and `partner_path`. Modified: `img`.
    """

    needs_partner = True

    def __init__(self) -> None:
        self._load = LoadImageFromFile()

    def partner(self, results: dict) -> tuple[np.ndarray, np.ndarray]:
        """Return the image and its partner at the same size, both uint8."""
        owner = type(self).__name__
        image = uint8_image(results, owner)
        if PARTNER not in results:
            raise UserError(f"{owner}: {PARTNER!r} is missing", "use a data set of ibn_seg")
        other = self._load({"img_path": results[PARTNER]})["img"]
        if other.shape != image.shape:
            other = cv2.resize(other, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return image, other


@TRANSFORMS.register_module()
class AmplitudeMix(PartnerTransform):
    """Mix the amplitudes of a frame with another source frame's; the phase stays.

    Source: Xu et al., CVPR 2021 (FACT), arXiv:2105.11120. FACT's teacher and its losses are no part
    of it.

    Args:
        alpha: The share of the other frame is uniform in 0..alpha.
        ratio: The share of the spectrum that is mixed, around frequency 0.

    Raises:
        UserError: A value is not in 0..1, or there is no other frame.
    """

    def __init__(self, alpha: float = 1.0, ratio: float = 1.0) -> None:
        super().__init__()
        for name, value in (("alpha", alpha), ("ratio", ratio)):
            check_range("AmplitudeMix", name, value, 1.0)
        self.alpha = alpha
        self.ratio = ratio

    def transform(self, results: dict) -> dict:
        """Change `results['img']`."""
        image, other = self.partner(results)
        share = np.random.uniform(0, self.alpha)
        mixed = mix_amplitudes(image, other, share, self.ratio)
        results["img"] = mixed.astype(np.uint8)
        return results

    def __repr__(self) -> str:
        return f"AmplitudeMix(alpha={self.alpha}, ratio={self.ratio})"


@TRANSFORMS.register_module()
class FourierStyle(PartnerTransform):
    """Take the low-frequency amplitudes of another source frame: FDA without target images.

    The result is clipped to 8 bits, because colours may be changed after it; the original code
    feeds the network with unclipped values. Source: Yang and Soatto, CVPR 2020 (FDA),
    arXiv:2004.05498; its use with source images alone is ours.

    Args:
        shares: The half-width of the window over the shorter side; one is drawn per frame.
        prob: Probability of a change.

    Raises:
        UserError: A value is out of its range, or there is no other frame.
    """

    def __init__(self, shares: tuple[float, ...] = (0.01, 0.05, 0.09), prob: float = 1.0) -> None:
        super().__init__()
        check_range("FourierStyle", "prob", prob, 1.0)
        if not shares or not all(0 <= share < 0.5 for share in shares):
            raise UserError(f"FourierStyle: {shares=}", "give numbers from 0 to below 0.5")
        self.shares = tuple(shares)
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Change `results['img']`."""
        share = self.shares[np.random.randint(len(self.shares))]
        if np.random.random() < self.prob:
            image, other = (x.transpose(2, 0, 1) for x in self.partner(results))
            changed = swap_low_frequencies(image, other, share)
            changed = np.rint(changed.clip(0, 255)).astype(np.uint8)
            results["img"] = np.ascontiguousarray(changed.transpose(1, 2, 0))
        return results

    def __repr__(self) -> str:
        return f"FourierStyle(shares={self.shares}, prob={self.prob})"
