"""Identifies the format of a picture by its first bytes."""

import re

# Files with these suffixes get their results' names first; see `picture_folder`.
COMMON_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
PICTURE_SUFFIXES = (
    *COMMON_SUFFIXES,
    ".apng", ".avif", ".avifs", ".dib", ".exr", ".gif", ".hdr", ".heic", ".heif", ".hif", ".j2c",
    ".j2k", ".jfif", ".jfi", ".jif", ".jp2", ".jpc", ".jpe", ".jpf", ".jps", ".jpx", ".jxl",
    ".mpo", ".pam", ".pbm", ".pcx", ".pfm", ".pgm", ".pic", ".pnm", ".psd", ".ras", ".sgi", ".sr",
    ".tga",
)  # fmt: skip
VIDEO_SUFFIXES = (
    ".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4",
    ".mpeg", ".mpg", ".mts", ".ogv", ".webm", ".wmv",
)  # fmt: skip
HEAD = 512  # bytes that `picture_format` needs

CAMERA_RAW = "camera raw"
_RAW_SUFFIXES = (
    ".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mrw", ".nef", ".nrw",
    ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)  # fmt: skip

# Each format's first bytes, from the formats' specifications. A short mark includes the bytes that
# must follow it, because a text may begin with 'BM' or 'P5'.
_BEGINNINGS = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "GIF": rb"GIF8[79]a",
    "TIFF": rb"II[*+]\0|MM\0[*+]",
    "WebP": rb"RIFF....WEBP",
    "BMP": rb"BM.{8}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "PNM": rb"P[1-6]\s(?:\s|#[^\r\n]*[\r\n])*\d+(?:\s|#[^\r\n]*[\r\n])+\d+\s",
    "PAM": rb"P7\s(?:#|WIDTH|HEIGHT|DEPTH|MAXVAL|TUPLTYPE)",
    "PFM": rb"P[Ff]\s+\d+\s+\d+\s",
    "JPEG 2000": rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n",
    "JPEG XR": rb"II\xbc[\0\x01]",
    "AVIF": rb"....ftyp(?:avif|avis)",
    "HEIC": rb"....ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)",
    "Radiance HDR": rb"#\?(?:RADIANCE|RGBE)",
    "OpenEXR": rb"v/1\x01",
    "Sun raster": rb"\x59\xa6\x6a\x95",
    "SGI": rb"\x01\xda[\0\x01][\x01\x02]\0[\x01-\x03]",
    "Photoshop": rb"8BPS\0[\x01\x02]",
    CAMERA_RAW: rb"....ftypcrx |FUJIFILMCCD-RAW|IIR[OS]|IIU\0|MMOR|\0MRM|FOVb",
}  # fmt: skip
_PATTERNS = {name: re.compile(mark, re.DOTALL) for name, mark in _BEGINNINGS.items()}

# Formats without a mark, by suffix, with the allowed values of their headers.
_BY_SUFFIX = {
    ".tga": ("Targa", re.compile(
        # With or without colour map, a known kind, no side of 0, an existing number of bits.
        rb".[\0\x01][\x01-\x03\x09-\x0b].{9}(?!\0\0)..(?!\0\0)..[\x01\x08\x0f\x10\x18\x20]",
        re.DOTALL,
    )),
    ".pcx": ("PCX", re.compile(rb"\x0a[\0\x02-\x05]\x01[\x01\x02\x04\x08]")),
    ".dib": ("DIB", re.compile(rb"[\x0c\x28\x6c\x7c]\0\0\0")),
}  # fmt: skip

# Picture formats made of ISO/IEC 14496-12 boxes.
_BOXED = ("AVIF", "HEIC")

# macOS leaves such a file beside a picture. Its name is the picture's with `._` in front.
_APPLE_DOUBLE = b"\x00\x05\x16\x07"


def picture_format(head: bytes, suffix: str) -> str | None:
    """Return the format of a picture, or None if the file is not a picture.

    Args:
        head: The file's first `HEAD` bytes, or all of a shorter file.
        suffix: The file's suffix. It decides where the content cannot: Targa has no mark, and most
            raw camera files have TIFF's.
    """
    found = next((name for name, mark in _PATTERNS.items() if mark.match(head)), None)
    if suffix.lower() in _RAW_SUFFIXES and head and found in (None, "TIFF"):
        return CAMERA_RAW
    if found is None and suffix.lower() in _BY_SUFFIX:
        name, mark = _BY_SUFFIX[suffix.lower()]
        found = name if mark.match(head) else None
    return found


def is_companion(head: bytes) -> bool:
    """Tell whether a file holds only macOS metadata about the picture that it is named after."""
    return head.startswith(_APPLE_DOUBLE)


_JPEG_2000 = "JPEG 2000"
_START_OF_CODE_STREAM, _END_OF_CODE_STREAM = b"\xff\x4f\xff\x51", b"\xff\xd9"


def lacks_boxes(data: bytes, kind: str) -> bool:
    """Tell whether an AVIF or HEIC file ends within one of its boxes, or before the last of them.

    Args:
        data: The whole file.
        kind: Its format.
    """
    if kind not in _BOXED:
        return False
    place, found = 0, set()
    while len(data) - place >= 16:
        size = int.from_bytes(data[place : place + 4], "big")
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        if size < 8:  # The box extends to the end of the file, or it is not a box.
            return False
        found.add(data[place + 4 : place + 8])
        place += size
    described = b"meta" in found or b"moov" in found
    return place != len(data) or not described or not (b"mdat" in found or b"idat" in data)


def lacks_end_of_code_stream(data: bytes, kind: str) -> bool:
    """Tell whether a JPEG 2000 file ends before its code stream does.

    A code stream ends with the marker EOC (ISO/IEC 15444-1, A.4.4). OpenCV 4.11 crashes on some
    files that lack it, so they must not reach its decoder.

    Args:
        data: The whole file, with boxes or the code stream alone.
        kind: Its format.
    """
    if kind != _JPEG_2000:
        return False
    place, size = 0, 0
    while not data.startswith(_START_OF_CODE_STREAM):
        size = int.from_bytes(data[place : place + 4], "big")
        head = 16 if size == 1 else 8
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        if data[place + 4 : place + 8] == b"jp2c" or size < head or place + size >= len(data):
            break
        place += size
    end = place + size if size else len(data)
    return end > len(data) or not data[:end].endswith(_END_OF_CODE_STREAM)
