"""ImageNet classification for mmengine: the folder data set, the classifier, its error rates."""
