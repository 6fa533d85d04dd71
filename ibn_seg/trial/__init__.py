"""A training tried out: everything is built, and one step is learnt from a made batch."""
