"""Configs of others with an IBN backbone in them: what `ibn-seg swap` is made of."""
