"""The `ibn-seg` command, also `python -m ibn_seg`; it names any packages that are missing.

ibn_seg itself requires only PyTorch and numpy. The commands need one of its extras.
"""

import sys

# Packages of the extras. If anything else is missing, that is a bug and keeps its traceback.
_EXTRAS = frozenset(
    ("click", "cv2", "jinja2", "matplotlib", "mmcv", "mmengine", "mmseg", "PIL", "pkg_resources",
     "prettytable", "rich")
)  # fmt: skip


def main() -> None:
    """Run the command line and exit."""
    try:
        from ibn_seg.cli import main as run

        run()
    except ModuleNotFoundError as error:
        if error.name not in _EXTRAS:
            raise
        print(
            f"error: the package {error.name!r} is not installed: pip install 'ibn_seg[mmseg]'; "
            "if mmsegmentation is there already, pip install 'ibn_seg[cli]'",
            file=sys.stderr,
        )
        sys.exit(3)


if __name__ == "__main__":
    main()
