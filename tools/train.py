"""Train a network with mmseg's arguments: the same as `ibn-seg train`."""

import sys

from ibn_seg.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
