"""ImageNet-C's fifteen corruptions and its four extra ones, for pictures of any size.

The method is Hendrycks and Dietterich's (ICLR 2019, arXiv:1903.12261). The algorithms are those of
`imagecorruptions` (bethgelab/imagecorruptions@c959e65), with which Michaelis et al. (1907.07484)
and others made Cityscapes-C. Given the same draws, each gives its levels: at most one level off.

Their values are truncated to whole levels, not rounded. That is part of the benchmark.
"""
