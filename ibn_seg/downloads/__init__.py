"""What `ibn-seg data` does: check a download, unpack archives, and look at the numbers."""
