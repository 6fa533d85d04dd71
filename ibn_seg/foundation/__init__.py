"""Networks of timm as backbones, and the ways to tune them."""
