"""Measures of how far a network's confidence can be trusted, in NumPy alone."""
