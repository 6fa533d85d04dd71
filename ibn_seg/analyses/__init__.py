"""Analyses of trained networks: one folder each, found through one table."""
