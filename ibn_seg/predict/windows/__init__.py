"""Predicts large pictures in bounded memory: the network sees one window after another."""
