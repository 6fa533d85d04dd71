"""Predicts labels for pictures, folders and videos."""
