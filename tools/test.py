"""Evaluate a checkpoint with mmseg's arguments: the same as `ibn-seg test`."""

import sys

from ibn_seg.cli import main

if __name__ == "__main__":
    main(["test", *sys.argv[1:]])
