"""Runs of re-identification: test a checkpoint on a data set, search one's own pictures."""
