"""Norms that whiten channels, and losses on the covariance of instance-normalised maps."""
