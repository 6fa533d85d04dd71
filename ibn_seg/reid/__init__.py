"""Re-identification: data sets, measures, losses and the network of the strong baseline.

A query is searched in a gallery of other cameras; sources are named by letters. BoT is the strong
baseline (Luo et al., Bag of Tricks and a Strong Baseline for Deep Person Re-identification, CVPR
workshops 2019), https://github.com/michuanhaohao/reid-strong-baseline.
"""
