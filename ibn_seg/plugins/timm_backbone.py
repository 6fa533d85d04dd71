"""Any network of timm as a backbone of mmseg and mmdet."""

from typing import Any

from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from mmengine.registry import MODELS

from ibn_seg.errors import UserError
from ibn_seg.foundation.tuned_network import TunedNetwork


@MODELS.register_module()
class TimmBackbone(TunedNetwork, BaseModule):
    """`TunedNetwork` for configs.

    Args:
        model: Name in timm.
        init_cfg: Refused, because timm draws the first weights itself; give `pretrained`.
        settings: The other arguments of `TunedNetwork`.

    Raises:
        UserError: A name or argument is wrong, or the arguments do not fit each other.
        EnvError: timm is not installed.
    """

    def __init__(self, model: str, init_cfg: Any = None, **settings: Any) -> None:
        if init_cfg:
            raise UserError(f"init_cfg={init_cfg}", "give pretrained=FILE, or True for timm's")
        super().__init__(model, **settings)

    def init_weights(self) -> None:
        """Load the weights of `pretrained`, then give the adapters their first values."""
        # mmengine's own would draw all weights again, by timm's `init_weights`.
        if self.is_init:
            return
        self._is_init = True
        self.start()
        if self.base_hash is not None:
            MMLogger.get_current_instance().info(
                f"backbone: weights of {self.source}, hash {self.base_hash[:8]}",
                extra={"notice": True},
            )
