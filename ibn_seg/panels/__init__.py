"""Predicts and stores, for the leaderboard, the images on which methods disagree most."""
