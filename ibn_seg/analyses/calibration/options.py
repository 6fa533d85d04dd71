"""The options that change the numbers of calibration."""

from ibn_seg.analyses.evaluated_domains import DOMAINS

OPTIONS = (DOMAINS,)
