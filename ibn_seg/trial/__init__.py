"""Tries a training: builds everything, then takes one step on a synthetic batch."""
