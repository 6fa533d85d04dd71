"""Decoded pictures and labels on disk, lossless and in tiles; a crop reads only its own tiles.

Decoding a PNG of 1914x1052 takes longer than all augmentation together, and a crop needs less than
half of it. An entry holds one picture in tiles of 128x128 pixels, each compressed by itself.

An entry belongs to one state of one source file: its header names the file's size, times and inode.
An entry is made again from the file if these differ, if it is damaged or if it has another version.
Entries are written whole and renamed, so any number of processes may fill one folder at once.
"""

import hashlib
import os
import struct
import threading
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ibn_seg.errors import EnvError, UserError, unknown
from ibn_seg.io import atomic_path

CODECS = ("zstd", "zlib", "raw")
SUFFIX = ".tiles"
TILE = 128
# Rows minus the row above compress better for photographs, and worse for some renderings.
_FILTERS = ("none", "up")
_SAMPLED_TILES = 5
# zstd's higher levels gain 1 % here, and zlib's take five times as long to write.
_LEVELS = {"zstd": 3, "zlib": 1}

_MAGIC = b"IBNTILES"
VERSION = 1
# Version, codec, filter, height, width, channels; size, mtime, ctime and inode of the source.
_HEADER = struct.Struct("<8s3B3I4Q")
_CHECK = struct.Struct("<I")
_buffers = threading.local()


class Identity(NamedTuple):
    """Identifies one state of a file.

    Args:
        size: Bytes.
        mtime_ns: Time of the last change of the content.
        ctime_ns: Time of the last change of content or inode; programs cannot set it back.
        inode: The file's number, which a file moved over this one does not share.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: str | os.PathLike) -> "Identity":
        """Return the current identity of a file.

        Raises:
            UserError: The file does not exist, or cannot be reached.
        """
        try:
            status = os.stat(path)
        except OSError as error:
            raise UserError(
                f"{path}: cannot be read ({error.strerror})", "unpack or download this file again"
            ) from error
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class Entry:
    """One picture in the cache, open for reading windows of it.

    Args:
        path: The file.
        identity: The state of the source that the entry must have.

    Attributes:
        shape: (H, W, C) of the picture.
        made: Whether this call made the entry.

    Raises:
        LookupError: The entry does not exist, has another state or version, or is damaged.
    """

    def __init__(self, path: Path, identity: Identity, made: bool = False) -> None:
        self.path = path
        self.made = made
        try:
            # A plain array: slices of a memmap object take ten times as long to make.
            self._bytes = np.asarray(np.memmap(path, np.uint8, "r"))
        except (OSError, ValueError) as error:
            raise LookupError(f"{path}: no entry") from error
        self._read_header(identity)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return len(self._bytes)

    def _read_header(self, identity: Identity) -> None:
        size = _HEADER.size
        if len(self._bytes) < size:
            raise LookupError(f"{self.path}: too short")
        fields = _HEADER.unpack(self._bytes[:size].tobytes())
        magic, version, codec, filtered, height, width, channels, *found = fields
        if magic != _MAGIC or version != VERSION or Identity(*found) != identity:
            raise LookupError(f"{self.path}: of another version or another state of its source")
        self.codec, self._filter = CODECS[codec], _FILTERS[filtered]
        self.shape = (height, width, channels)
        self._rows, self._columns = _grid(height, width)
        tiles = 1 if self.codec == "raw" else self._rows * self._columns
        end = size + 8 * (tiles + 1)
        index = self._bytes[size:end].tobytes()
        check = self._bytes[end : end + _CHECK.size].tobytes()
        if _CHECK.pack(zlib.crc32(index, zlib.crc32(self._bytes[:size]))) != check:
            raise LookupError(f"{self.path}: damaged header")
        self._offsets = np.frombuffer(index, np.uint64).astype(np.int64)
        if self._offsets[-1] != len(self._bytes):
            raise LookupError(f"{self.path}: truncated")

    def canvas(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        """Return the picture, with pixels only inside a window.

        Args:
            top: The window's first row.
            bottom: The row after its last.
            left: Its first column.
            right: The column after its last.

        Returns:
            (H, W, C) uint8. Do not write to it; the next call in this thread overwrites it.

        Raises:
            LookupError: A tile is damaged.
        """
        if self.codec == "raw":
            return self._bytes[self._offsets[0] :].reshape(self.shape)
        height, width, channels = self.shape
        tall = self._rows * TILE
        canvas = _buffer((tall, width, channels))
        rows = slice(top // TILE, -(-bottom // TILE))
        columns = range(left // TILE, -(-right // TILE))
        decompress = _decompressor(self.codec)
        for row in range(rows.start, rows.stop):
            y = row * TILE
            for column in columns:
                x = column * TILE
                target = canvas[y : min(y + TILE, height), x : x + TILE]
                number = row * self._columns + column
                data = self._bytes[self._offsets[number] : self._offsets[number + 1]]
                target[...] = _decoded(decompress, data, target.size, self.path).reshape(
                    target.shape
                )
        if self._filter == "up":
            window = slice(columns.start * TILE, columns.stop * TILE)
            _undo_up(canvas.reshape(self._rows, TILE, width, channels)[rows, :, window])
        return canvas[:height]


class FrameCache:
    """A folder of decoded pictures and labels, filled on demand.

    Args:
        folder: The folder of the entries; it is made with the first one.
        codec: 'zstd' (2.4 MB for a rendered frame of 1914x1052; needs the package zstandard),
            'zlib' (equally small, slower to read, needs nothing) or 'raw' (6.0 MB, fastest; does
            not notice damage to the pixels themselves).

    Raises:
        UserError: There is no such codec.
        EnvError: The codec's package is missing.
    """

    def __init__(self, folder: str | os.PathLike, codec: str = "zstd") -> None:
        if codec not in CODECS:
            raise unknown("cache codec", codec, CODECS)
        _decompressor(codec)
        self.folder = Path(os.path.expanduser(folder))
        self.codec = codec

    def open(self, source: str | os.PathLike, kind: str, decode: Callable[[], np.ndarray]) -> Entry:
        """Return the entry of a file's current state; make it if necessary.

        Args:
            source: The file.
            kind: Which content of the file the entry holds; one file may have entries of several
                kinds.
            decode: Returns it, (H, W) or (H, W, C) uint8.

        Raises:
            UserError: The file is missing, or `decode` raises it.
            EnvError: The entry cannot be written, or the file keeps changing.
        """
        path = self.path(source, kind)
        identity = Identity.of(source)
        try:
            return Entry(path, identity)
        except LookupError:
            return self.write(source, kind, decode)

    def write(
        self, source: str | os.PathLike, kind: str, decode: Callable[[], np.ndarray]
    ) -> Entry:
        """Write the entry of a file again and return it; arguments and errors as in `open`."""
        path = self.path(source, kind)
        for _ in range(3):
            identity = Identity.of(source)
            data = encode(decode(), identity, self.codec)
            # If the file changed meanwhile, the decoded picture may be neither the old nor the new
            # one.
            if Identity.of(source) == identity:
                with atomic_path(path) as temporary:
                    temporary.write_bytes(data)
                return Entry(path, identity, made=True)
        raise EnvError(f"{source}: changes while it is read", "stop what writes to it")

    def path(self, source: str | os.PathLike, kind: str) -> Path:
        """Return the place of a file's entry, whether it exists or not."""
        name = "\0".join((kind, self.codec, os.path.abspath(source)))
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
        return self.folder / digest[:2] / f"{digest}{SUFFIX}"


def encode(picture: np.ndarray, identity: Identity, codec: str) -> bytes:
    """Return the content of an entry.

    Args:
        picture: (H, W) or (H, W, C) uint8.
        identity: The state of the source file.
        codec: One of `CODECS`.
    """
    if picture.ndim == 2:
        picture = picture[..., None]
    filtered = "none"
    if codec == "raw":
        parts = [np.ascontiguousarray(picture).tobytes()]
    else:
        compress = _compressor(codec)
        tiles = {name: _tiles(_filtered(picture, name)) for name in _FILTERS}
        samples = {
            name: sum(len(compress(tile)) for tile in parts[::_SAMPLED_TILES])
            for name, parts in tiles.items()
        }
        filtered = min(_FILTERS, key=samples.__getitem__)
        parts = [compress(tile) for tile in tiles[filtered]]
    header = _HEADER.pack(
        _MAGIC, VERSION, CODECS.index(codec), _FILTERS.index(filtered), *picture.shape, *identity
    )
    start = len(header) + 8 * (len(parts) + 1) + _CHECK.size
    offsets = start + np.cumsum([0, *map(len, parts)], dtype=np.uint64)
    index = offsets.astype("<u8").tobytes()
    check = _CHECK.pack(zlib.crc32(index, zlib.crc32(header)))
    return b"".join((header, index, check, *parts))


def label_kind(info: Mapping[str, Any]) -> str:
    """Return the kind of a sample's label: with another table it is another label."""
    table = info["label_table"]
    parts = (table.encoding, table.train_ids.tobytes(), table.known.tobytes())
    if table.colors is not None:
        parts += (table.colors.tobytes(),)
    digest = hashlib.sha256(repr(parts).encode())
    if info.get("segments") is not None:
        digest.update(repr(sorted(info["segments"].items())).encode())
    return f"label {digest.hexdigest()[:16]}"


def _grid(height: int, width: int) -> tuple[int, int]:
    """Return how many rows and columns of tiles a picture has."""
    return -(-height // TILE), -(-width // TILE)


def _filtered(picture: np.ndarray, name: str) -> np.ndarray:
    """Return a picture filtered; 'up' restarts in each row of tiles. Differences wrap at 256."""
    if name == "none":
        return picture
    result = picture.copy()
    result[1:] -= picture[:-1]
    result[::TILE] = picture[::TILE]
    return result


def _undo_up(tiles: np.ndarray) -> None:
    """Undo the filter 'up' in place, in all rows of tiles, (N, TILE, W, C), at once."""
    for line in range(1, TILE):
        tiles[:, line] += tiles[:, line - 1]


def _tiles(picture: np.ndarray) -> list[bytes]:
    height, width = picture.shape[:2]
    return [
        picture[y : y + TILE, x : x + TILE].tobytes()
        for y in range(0, height, TILE)
        for x in range(0, width, TILE)
    ]


def _decoded(
    decompress: Callable[[np.ndarray], bytes], data: np.ndarray, size: int, path: Path
) -> np.ndarray:
    """Return a tile's values, (size,) uint8."""
    try:
        values = np.frombuffer(decompress(data), np.uint8)
    except _damage() as error:
        raise LookupError(f"{path}: damaged tile") from error
    if values.size != size:
        raise LookupError(f"{path}: damaged tile")
    return values


def _zstandard():
    try:
        import zstandard
    except ImportError as error:
        raise EnvError(
            "the cache codec 'zstd' needs the package zstandard",
            "pip install 'ibn_seg[cache]', or use the codec 'zlib' or 'raw'",
        ) from error
    return zstandard


def _compressor(codec: str) -> Callable[[bytes], bytes]:
    if codec == "zlib":
        return lambda data: zlib.compress(data, _LEVELS["zlib"])
    return _zstandard().ZstdCompressor(level=_LEVELS["zstd"], write_checksum=True).compress


def _decompressor(codec: str) -> Callable[[np.ndarray], bytes]:
    return _zstandard().ZstdDecompressor().decompress if codec == "zstd" else zlib.decompress


def _damage() -> tuple[type[Exception], ...]:
    """Return the errors that damaged bytes cause when they are decompressed."""
    try:
        return (zlib.error, _zstandard().ZstdError)
    except EnvError:
        return (zlib.error,)


def _buffer(shape: tuple[int, ...]) -> np.ndarray:
    """Return this thread's memory for a canvas; writing to fresh pages every time is slow."""
    held = getattr(_buffers, "canvas", {})
    if shape not in held:
        held = {kept: held[kept] for kept in list(held)[-3:]}
        held[shape] = np.zeros(shape, np.uint8)
        _buffers.canvas = held
    return held[shape]
