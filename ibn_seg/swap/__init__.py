"""The parts of `ibn-seg swap`, which puts an IBN backbone into another project's config."""
