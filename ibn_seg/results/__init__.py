"""The folder of a run or a benchmark: its identity, its locks and its kept results."""
