"""Scores under changes of appearance."""
