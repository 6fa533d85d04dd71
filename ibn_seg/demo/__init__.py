"""Trains and compares BN, IBN-a and IBN-b on embedded scenes, in one command."""
