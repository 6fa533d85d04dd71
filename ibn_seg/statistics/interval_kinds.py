"""What intervals tell about."""

# Other seeds and other images, or other seeds alone. Images that are no sample of a domain, such as
# the frames of one video, are not drawn.
OVER_BOTH = "seeds-and-images"
OVER_SEEDS = "seeds"
INTERVALS = (OVER_BOTH, OVER_SEEDS)
