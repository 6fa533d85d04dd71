"""The parts of `ibn-seg data`: check a download, unpack archives, compute statistics."""
