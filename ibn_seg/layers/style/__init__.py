"""Layers that change the style of feature maps at random, in training only."""
