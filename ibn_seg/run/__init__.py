"""Training, testing and evaluating segmentors from configs."""
