"""Scores of semantic segmentation, per domain."""
