"""Keep the results of a benchmark in few small files that explain themselves.

    python tools/keep_results.py work_dirs/benchmark/mine data/benchmark/mine
    python tools/keep_results.py work_dirs/again data/benchmark/again --beside data/benchmark/mine

The second line adds a further run of the same plan to the files of the first. `ibn-seg leaderboard`
reads the new folders as it reads the old ones. Equal results give equal bytes.
"""

import argparse
import sys
from pathlib import Path

from ibn_seg.errors import UserError
from ibn_seg.results.keep_folder import keep


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="folder of `ibn-seg benchmark`")
    parser.add_argument("out", type=Path, help="folder to write; its name is the run's name")
    parser.add_argument("--beside", type=Path, metavar="FOLDER",
                        help="kept folder of the same plan, which gets this run too")  # fmt: skip
    given = parser.parse_args()
    try:
        written = keep(given.results, given.out, given.beside)
    except UserError as error:
        print(f"error: {error.line}", file=sys.stderr)
        return error.exit_code
    for path in written:
        print(f"{path}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
