"""Draws a person of an outfit from ahead, from behind or from the side."""

from dataclasses import dataclass

from ibn_seg.scenes.camera_networks.outfits import Outfit
from ibn_seg.scenes.canvas import Board, Canvas, Colour, disc_points, scaled
from ibn_seg.scenes.ids import PERSON

VIEWS = ("front", "back", "side")
# Metres of a person of height 1, from the soles to the top of the head.
TALL = 1.79
_TOWARDS_CAMERA = (0.0, 0.0, -1.0)
_HIP, _SHOULDER = 0.88, 1.4


@dataclass(frozen=True)
class Pose:
    """How a person is seen.

    Attributes:
        view: One of `VIEWS`.
        mirrored: Whether the person looks to the left.
        stride: Half the distance of the feet, in metres.
    """

    view: str
    mirrored: bool
    stride: float


class Figure:
    """A person who stands at a spot of the ground.

    Args:
        canvas: Where to draw.
        x: World x in metres.
        z: Depth in metres.
        outfit: The person.
        pose: How the person is seen.
    """

    def __init__(self, canvas: Canvas, x: float, z: float, outfit: Outfit, pose: Pose) -> None:
        self.outfit, self.pose = outfit, pose
        self.side = pose.view == "side"
        self.board = Board(canvas, x, z, -1.0 if pose.mirrored else 1.0)
        self.board.scale *= outfit.height
        self.board.across *= outfit.height * outfit.width
        # Seen from the side, a body is two thirds as wide.
        self.half = 0.15 if self.side else 0.22

    def light(self, colour: Colour) -> Colour:
        """Return a colour under the camera's light."""
        return self.board.canvas.light.shade(colour, _TOWARDS_CAMERA)

    def draw(self) -> None:
        """Draw the person from the feet up, what is behind first."""
        self._legs()
        behind = self.outfit.bag == "backpack" and self.pose.view == "front"
        if behind:
            self._box(-0.2, 0.95, 0.2, 1.42, self.outfit.bag_colour, 0.8)
        self._arm(-1, 0.75)
        self._torso()
        self._arm(1, 0.92)
        self._bag()
        self._head()

    def _box(
        self, u0: float, v0: float, u1: float, v1: float, colour: Colour, tone: float = 1.0
    ) -> None:
        self.board.box(u0, v0, u1, v1, scaled(self.light(colour), tone), PERSON)

    def _legs(self) -> None:
        """Draw legs, feet, and the lower garment down to where it ends."""
        outfit, stride = self.outfit, self.pose.stride
        bare = outfit.lower != "trousers"
        for sign, tone in ((-1, 0.8), (1, 1.0)):
            hip = sign * (0.04 if self.side else 0.09)
            foot = sign * stride if self.side else sign * 0.1
            # Of someone who walks towards the camera, one foot is farther away, and so higher.
            lift = 0.0 if self.side or sign > 0 else 0.25 * stride
            knee = (hip + (foot - hip) * 0.5, 0.5 + lift / 2)
            skin = scaled(self.light(outfit.skin), tone)
            cloth = scaled(self.light(outfit.legs), tone)
            self.board.bar(knee, (foot, 0.08 + lift), 0.15, skin if bare else cloth, PERSON, 0.12)
            self.board.bar((hip, _HIP), knee, 0.19, cloth, PERSON, 0.16)
            toe = 0.16 if self.side else 0.07
            self._box(foot - 0.07, lift, foot + toe, 0.09 + lift, outfit.shoes, tone)
        if outfit.lower == "skirt":
            half = self.half
            hem = ((-half + 0.04, 0.95), (half - 0.04, 0.95), (half + 0.06, 0.48),
                   (-half - 0.06, 0.48))  # fmt: skip
            self.board.poly(hem, self.light(outfit.legs), PERSON)

    def _arm(self, sign: int, tone: float) -> None:
        """Draw an arm, bare below short sleeves."""
        outfit, stride = self.outfit, self.pose.stride
        shoulder = (0.0 if self.side else sign * (self.half - 0.01), _SHOULDER)
        hand = (-sign * stride if self.side else sign * (self.half + 0.03), 0.86)
        elbow = ((shoulder[0] + hand[0]) / 2, 1.14)
        cloth, skin = (scaled(self.light(one), tone) for one in (outfit.top, outfit.skin))
        self.board.bar(elbow, hand, 0.1, cloth if outfit.sleeves else skin, PERSON, 0.08)
        self.board.bar(shoulder, elbow, 0.13, cloth, PERSON, 0.11)
        self.board.disc(*hand, 0.05, skin, PERSON, 6)

    def _torso(self) -> None:
        """Draw the upper garment with its pattern and its shaded side."""
        half, top = self.half, self.light(self.outfit.top)
        low, high = half - 0.05, half - 0.08
        corners = (
            (-low, 0.84),
            (low, 0.84),
            (half, 1.38),
            (high, 1.5),
            (-high, 1.5),
            (-half, 1.38),
        )
        self.board.poly(corners, top, PERSON)
        self._pattern(low)
        shaded = ((-low, 0.84), (-low + 0.06, 0.84), (-high + 0.03, 1.48), (-half, 1.38))
        self.board.poly(shaded, scaled(top, 0.82), None)

    def _pattern(self, half: float) -> None:
        """Draw the second colour of the upper garment."""
        outfit = self.outfit
        second = self.light(outfit.second)
        if outfit.pattern == "stripes":
            for low in (0.9, 1.04, 1.18, 1.32):
                self.board.box(-half, low, half, low + 0.07, second, None)
        if outfit.pattern == "halves":
            self.board.box(-half, 0.84, half, 1.12, second, None)
        if outfit.pattern == "jacket" and self.pose.view == "front":
            self.board.box(-0.06, 0.84, 0.06, 1.5, second, None)
        if outfit.pattern == "print" and not self.side:
            self.board.box(-0.09, 1.12, 0.09, 1.32, second, None)

    def _bag(self) -> None:
        """Draw the backpack or its straps, or the shoulder bag."""
        outfit, view = self.outfit, self.pose.view
        if outfit.bag == "shoulder":
            strap = scaled(self.light(outfit.bag_colour), 0.8)
            if not self.side:
                self.board.bar((-0.14, 1.46), (0.2, 0.95), 0.04, strap, PERSON)
            place = -0.12 if self.side else 0.14
            self._box(place, 0.76, place + 0.22, 1.0, outfit.bag_colour)
        if outfit.bag == "backpack" and view == "front":
            for place in (-0.14, 0.1):
                self._box(place, 1.05, place + 0.04, 1.46, outfit.bag_colour, 0.8)
        if outfit.bag == "backpack" and view == "back":
            self._box(-0.17, 0.98, 0.17, 1.44, outfit.bag_colour)
        if outfit.bag == "backpack" and self.side:
            self._box(-0.32, 0.98, -0.12, 1.44, outfit.bag_colour)

    def _head(self) -> None:
        """Draw neck, face, hair and hat."""
        outfit, board = self.outfit, self.board
        face, hair = self.light(outfit.skin), self.light(outfit.hair)
        self._box(-0.05, 1.46, 0.05, 1.57, outfit.skin, 0.85)
        if outfit.long_hair:
            board.box(-0.12, 1.42, 0.02 if self.side else 0.12, 1.65, hair, PERSON)
        board.poly(disc_points(0.0, 1.65, 0.115, 0.14, 10), hair, PERSON)
        if self.pose.view == "front":
            board.poly(disc_points(0.0, 1.61, 0.09, 0.12, 10), face, PERSON)
        if self.side:
            board.poly(disc_points(0.05, 1.61, 0.07, 0.11, 8), face, PERSON)
        if outfit.hat is not None:
            self._box(-0.12, 1.68, 0.12, 1.79, outfit.hat)
            if self.pose.view != "back":
                self._box(0.0 if self.side else -0.14, 1.66, 0.2 if self.side else 0.14, 1.7,
                          outfit.hat, 0.85)  # fmt: skip
