"""What the folder of a run or of a benchmark tells of it: identity, locks, what is kept."""
