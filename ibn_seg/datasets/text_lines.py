"""Read the text files that users write or get with a data set: lists of files and of classes."""

from pathlib import Path

from ibn_seg.errors import UserError


def read_lines(path: Path, what: str, fix: str) -> list[str]:
    """Return the lines of a text file.

    Args:
        path: The file, in UTF-8. Some editors begin it with a mark of its encoding, which is cut.
        what: What it should be, for messages, such as 'list of images'.
        fix: What to do if it is not there, for messages.

    Raises:
        UserError: It cannot be read, or is no text in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such {what}", fix) from error
    except OSError as error:
        raise UserError(f"{path}: no {what} ({error.strerror})", fix) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: no {what} in UTF-8", "save it as UTF-8 text") from error
