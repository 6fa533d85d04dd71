"""Logs the results in a folder: each picture, the network, and the result files."""

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import ibn_seg
from ibn_seg.errors import EnvError
from ibn_seg.io import sha256, write_error

LOG_NAME = ".ibn_seg_predict.jsonl"
_FIELDS = ("name", "picture", "sha256", "network", "results")


class PredictionLog:
    """The log of a folder of results, one JSON line for each finished result.

    A line is appended when the results of a picture are complete. So an interrupted run loses none,
    and two runs may share a folder. The last line of a name counts. A damaged line, as after a
    power cut, does not count, and its picture is predicted again.

    Args:
        out: The folder of results.

    Raises:
        EnvError: The log cannot be read.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._path = out / LOG_NAME
        self._entries = _read_entries(self._path)

    def results(self) -> set[Path]:
        """Return every file that the log names, as an absolute path without links."""
        return {
            self._out.resolve() / file
            for entry in self._entries.values()
            for file in entry["results"]
        }

    def is_done(self, name: str, digest: str, network: str) -> bool:
        """Tell whether a name's results are of this picture and network, and unchanged.

        Args:
            name: The name of the results.
            digest: The SHA-256 of the picture's file.
            network: As `network_identity` returns it.
        """
        entry = self._entries.get(name)
        if entry is None or (entry["sha256"], entry["network"]) != (digest, network):
            return False
        return all(
            (self._out / file).is_file() and sha256(self._out / file) == stored
            for file, stored in entry["results"].items()
        )

    def other_owner(self, name: str, picture: Path, digest: str) -> str | None:
        """Return a picture elsewhere whose results have this name, or None."""
        entry = self._entries.get(name)
        if entry is None or digest == entry["sha256"] or _place(picture) == entry["picture"]:
            return None
        present = any((self._out / file).exists() for file in entry["results"])
        return entry["picture"] if present else None

    def of_other_networks(self, network: str) -> set[str]:
        """Return the names whose results come from another network or other options."""
        return {name for name, entry in self._entries.items() if entry["network"] != network}

    def outdated(self, name: str, results: Collection[str]) -> list[Path]:
        """Return the files of a name's earlier results that newer results do not replace.

        Args:
            name: The name of the results.
            results: The paths of the newer results in the folder.
        """
        earlier = self._entries.get(name, {}).get("results", {})
        return [
            self._out / file
            for file, stored in earlier.items()
            if file not in results
            and (self._out / file).is_file()
            and sha256(self._out / file) == stored
        ]

    def add(
        self, name: str, picture: Path, digest: str, network: str, results: Mapping[str, str]
    ) -> None:
        """Append a finished picture.

        Args:
            name: The name of the results.
            picture: The file that the results come from.
            digest: Its SHA-256.
            network: As `network_identity` returns it.
            results: The SHA-256 of each result, by its path in the folder.

        Raises:
            EnvError: The log cannot be written.
        """
        values = (name, _place(picture), digest, network, dict(results))
        entry = dict(zip(_FIELDS, values, strict=True))
        line = f"{json.dumps(entry)}\n".encode()
        try:
            with self._path.open("ab+") as file:
                if file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
                    line = b"\n" + line
                file.write(line)
        except OSError as error:
            raise write_error(self._path, error) from error
        self._entries[name] = entry


def network_identity(checkpoint: str | os.PathLike, **shaping: Any) -> str:
    """Return a hash of everything that affects results, except the picture.

    Args:
        checkpoint: The checkpoint's file.
        **shaping: Parts of the config, and options. The device is not included.
    """
    parts = {**shaping, "version": ibn_seg.__version__, "checkpoint": sha256(checkpoint)}
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _place(picture: Path) -> str:
    return os.path.realpath(picture)


def _read_entries(path: Path) -> dict[str, dict]:
    """Return the entries of a log by name; none if there is no log."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise EnvError(f"{path}: cannot be read ({error.strerror})") from error
    entries = {}
    for line in lines:
        entry = _parse(line, _FIELDS)
        if entry is not None:
            entries[entry["name"]] = entry
    return entries


def _parse(line: str, fields: Collection[str]) -> dict | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or set(entry) != set(fields):
        return None
    texts = all(isinstance(entry[field], str) for field in fields if field != "results")
    return entry if texts and isinstance(entry["results"], dict) else None
