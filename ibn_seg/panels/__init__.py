"""The images on which methods disagree most, predicted and stored for the leaderboard."""
