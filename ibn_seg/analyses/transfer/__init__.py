"""Fine-tuning on shares of a target's training set, with the source's network and without."""
