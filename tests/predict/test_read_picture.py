import io
import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from ibn_seg.predict import read_picture
from ibn_seg.predict.picture_formats import HEAD, PICTURE_SUFFIXES, picture_format
from ibn_seg.predict.read_picture import PictureError, decode_picture

# Left half red, right half blue; wider than high.
TWO = np.zeros((16, 32, 3), np.uint8)
TWO[:, :16], TWO[:, 16:] = (255, 0, 0), (0, 0, 255)


def encoded(picture, kind, **options):
    file = io.BytesIO()
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    picture.save(file, kind, **options)
    return file.getvalue()


def by_opencv(values, suffix):
    return cv2.imencode(suffix, values)[1].tobytes()


def pixels(data, name="a.jpg"):
    return decode_picture(data, read_picture.Path(name)).pixels


def remarks(data, name="a.jpg"):
    return decode_picture(data, read_picture.Path(name)).remarks


def corners(image):
    """The colours, red first, a little inside the left and the right edge."""
    return image[3, 3, ::-1].tolist(), image[-4, -4, ::-1].tolist()


LOSSLESS = {
    "BMP": encoded(TWO, "BMP"),
    "PNG": encoded(TWO, "PNG"),
    "TIFF": encoded(TWO, "TIFF"),
    "GIF": encoded(TWO, "GIF"),
    "PNM": encoded(TWO, "PPM"),
    "JPEG 2000": encoded(TWO, "JPEG2000"),
    "WebP": encoded(TWO, "WEBP", lossless=True),
    "Sun raster": by_opencv(TWO[..., ::-1], ".ras"),
    "PFM": by_opencv((TWO[..., ::-1] / 255).astype(np.float32), ".pfm"),
    "Radiance HDR": by_opencv((TWO[..., ::-1] / 255).astype(np.float32), ".hdr"),
    "SGI": encoded(TWO, "SGI"),
}


@pytest.mark.parametrize("name", ["a", "a.jpg", "a.txt", "a.mp4"])
@pytest.mark.parametrize("kind", LOSSLESS)
def test_the_content_decides(kind, name):
    data = LOSSLESS[kind]
    assert picture_format(data[:HEAD], os.path.splitext(name)[1]) == kind
    image = pixels(data, name)
    assert (image.shape, image.dtype) == ((16, 32, 3), np.uint8)
    assert np.array_equal(image[..., ::-1], TWO)


@pytest.mark.parametrize(("kind", "suffix"), [("TGA", ".tga"), ("PCX", ".pcx"), ("DIB", ".dib")])
def test_formats_without_a_mark_are_known_by_their_suffix(kind, suffix):
    data = encoded(TWO, kind)
    assert np.array_equal(pixels(data, f"a{suffix}")[..., ::-1], TWO)
    with pytest.raises(PictureError, match="its content is not that of a picture"):
        pixels(data, "a.png")


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [(1, TWO), (2, TWO[:, ::-1]), (3, TWO[::-1, ::-1]), (4, TWO[::-1]),
     (5, TWO.transpose(1, 0, 2)), (6, np.rot90(TWO, -1)), (8, np.rot90(TWO, 1))],
)  # fmt: skip
def test_exif_orientation_is_applied(orientation, expected):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = pixels(encoded(TWO, "JPEG", exif=exif, quality=95, subsampling=0))
    assert image.shape == expected.shape
    assert np.abs(image[..., ::-1].astype(int) - expected).max() < 40


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_16_bits_become_their_high_byte(suffix):
    ramp = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    image = pixels(by_opencv(ramp, suffix))
    assert np.array_equal(image, np.repeat((ramp >> 8).astype(np.uint8)[..., None], 3, axis=2))


def test_16_bit_colours_become_their_high_bytes():
    values = np.random.default_rng(0).integers(0, 65536, (8, 9, 3)).astype(np.uint16)
    assert np.array_equal(pixels(by_opencv(values, ".png")), (values >> 8).astype(np.uint8))


def test_grey_palettes_and_bits_become_three_channels():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(pixels(encoded(grey, "PNG")), np.dstack([grey] * 3))
    palette = Image.fromarray(grey % 4)
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    assert pixels(encoded(palette, "PNG"))[0, :2, ::-1].tolist() == [[10, 20, 30], [40, 50, 60]]
    bits = Image.fromarray(grey).point(lambda value: 255 * (value > 99), mode="1")
    assert pixels(encoded(bits, "PPM"))[6, 3:5, 0].tolist() == [0, 255]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_the_colour_under_transparency_counts(kind):
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    clear = np.dstack([TWO, np.zeros((16, 32), np.uint8)])
    assert corners(pixels(encoded(clear, kind, **options))) == ([255, 0, 0], [0, 0, 255])


def test_cmyk_becomes_the_colours_that_are_printed():
    inks = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    red, green, blue = pixels(encoded(inks, "JPEG", quality=95))[8, 8, ::-1].tolist()
    assert red < 10
    assert min(green, blue) > 245


def test_floating_point_numbers_without_a_known_white_are_refused():
    for top in (1.5, 255.0, np.nan):
        values = np.zeros((8, 8), np.float32)
        values[0, 0] = top
        with pytest.raises(PictureError, match=r"a\.tif: its values of type float32"):
            pixels(encoded(values, "TIFF"), "a.tif")
    half = np.full((8, 8), 0.5, np.float32)
    assert np.unique(pixels(encoded(half, "TIFF"))).tolist() == [128]
    with pytest.raises(PictureError, match="int32"):
        pixels(encoded(np.full((8, 8), 7, np.int32), "TIFF"))


FRAMES = [Image.fromarray(np.ascontiguousarray(np.rot90(TWO[:, 8:24], k))) for k in range(3)]


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP", "PNG", "MPO"])
def test_several_frames_are_said(kind):
    data = encoded(FRAMES[0], kind, save_all=True, append_images=FRAMES[1:])
    assert remarks(data, "x.y") == ("x.y: holds 3 frames; the first is predicted",)
    assert corners(pixels(data))[0][0] > 200
    assert remarks(encoded(FRAMES[0], "JPEG" if kind == "MPO" else kind)) == ()


def tiff(*pages):
    """A TIFF of pictures, each with its value of the tag that marks reduced copies."""
    file = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(file) as writer:
        for picture, subfile in pages:
            picture.save(writer, "TIFF", tiffinfo={254: subfile})
            writer.newFrame()
    return file.getvalue()


def test_reduced_copies_in_a_tiff_are_no_frames():
    copy = FRAMES[0].resize((8, 8))
    assert remarks(tiff((FRAMES[0], 0), (copy, 1))) == ()
    assert remarks(tiff((FRAMES[0], 0), (FRAMES[1], 2), (copy, 1)), "x") == (
        "x: holds 2 frames; the first is predicted",
    )
    with pytest.raises(PictureError, match="begin with a reduced copy"):
        pixels(tiff((copy, 1), (FRAMES[0], 0)), "photo.tif")


PHOTO = cv2.GaussianBlur(
    np.random.default_rng(2).integers(0, 256, (90, 120, 3)).astype(np.uint8), (0, 0), 2
)
CUTTABLE = {
    "JPEG": encoded(PHOTO, "JPEG"),
    "progressive": encoded(PHOTO, "JPEG", progressive=True),
    "PNG": encoded(PHOTO, "PNG"),
    "BMP": encoded(PHOTO, "BMP"),
    "PNM": encoded(PHOTO, "PPM"),
    "WebP": encoded(PHOTO, "WEBP"),
    "TIFF": encoded(PHOTO, "TIFF"),
    "JPEG 2000": encoded(PHOTO, "JPEG2000"),
    "GIF": encoded(PHOTO, "GIF"),
    "code stream": encoded(PHOTO, "JPEG2000", no_jp2=True),
    "SGI": encoded(PHOTO, "SGI"),
    "Sun raster": by_opencv(PHOTO, ".ras"),
    "PAM": by_opencv(PHOTO, ".pam"),
    "PFM": by_opencv((PHOTO / 255).astype(np.float32), ".pfm"),
    "Radiance HDR": by_opencv((PHOTO / 255).astype(np.float32), ".hdr"),
}
# By the suffix that says the format; the marks of these end before their headers do.
CUTTABLE_BY_SUFFIX = {
    ".pcx": (encoded(PHOTO, "PCX"), 4),
    ".tga": (encoded(PHOTO, "TGA"), 17),
    ".TGA": (encoded(PHOTO, "TGA", compression="tga_rle"), 17),
    ".dib": (encoded(PHOTO, "DIB"), 4),
}
WORDS = r"is not a readable picture \((the file is cut off|damaged or cut off, or an unusual .*)\)"


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(sorted(CUTTABLE)), share=st.floats(0.0, 0.97))
def test_a_file_that_is_cut_off_is_refused_wherever_it_is_cut(kind, share):
    data = CUTTABLE[kind]
    with pytest.raises(PictureError, match=r"^a\.jpg: "):
        pixels(data[: int(len(data) * share)])


@pytest.mark.parametrize("kind", CUTTABLE)
def test_a_cut_file_is_said_to_be_cut_as_soon_as_its_mark_is_there(kind):
    data = CUTTABLE[kind]
    for length in (20, 21, 30, 47, 64, 100, 255, 512, 513, len(data) // 2, len(data) * 97 // 100):
        with pytest.raises(PictureError, match=rf"^a\.jpg: {WORDS}"):
            pixels(data[:length])


@pytest.mark.parametrize("suffix", CUTTABLE_BY_SUFFIX)
def test_a_cut_file_without_a_mark_is_said_to_be_cut(suffix):
    data, mark = CUTTABLE_BY_SUFFIX[suffix]
    assert pixels(data, f"a{suffix}").shape == PHOTO.shape
    for length in (mark, 18, 20, 21, 64, 128, 512, 513, len(data) // 2, len(data) * 97 // 100):
        with pytest.raises(PictureError, match=rf"^a{suffix}: {WORDS}"):
            pixels(data[:length], f"a{suffix}")
        with pytest.raises(PictureError, match="its content is not that of a picture"):
            pixels(data[:length], "a.png")


@settings(max_examples=100, deadline=None)
@given(junk=st.binary(min_size=1, max_size=600), suffix=st.sampled_from(sorted(PICTURE_SUFFIXES)))
def test_junk_is_no_cut_picture(junk, suffix):
    # Marks of two bytes are met by chance.
    if picture_format(junk, suffix) is None:
        with pytest.raises(PictureError, match="its content is not that of a picture"):
            pixels(junk, f"a{suffix}")


@pytest.mark.parametrize(
    "header",
    [
        bytes(18),
        b"\0\0\x02" + bytes(12) + b"\0\x18\0",  # no sides
        b"\0\0\x02" + bytes(9) + b"\x10\0\x10\0\x13\0",  # 19 bits
        b"\0\x02\x02" + bytes(9) + b"\x10\0\x10\0\x18\0",  # two colour maps
        b"\0\0\x05" + bytes(9) + b"\x10\0\x10\0\x18\0",  # no such kind
    ],
)
def test_what_no_targa_begins_with_is_none(header):
    assert picture_format(header + bytes(50), ".tga") is None


Image.init()


@pytest.mark.skipif("AVIF" not in Image.SAVE, reason="this Pillow writes no AVIF")
def test_a_cut_avif_is_told_from_one_that_cannot_be_read_here(monkeypatch):
    data = encoded(PHOTO, "AVIF")
    assert pixels(data).shape == PHOTO.shape
    for length in (12, 24, 28, 40, 100, data.index(b"mdat") - 4, len(data) // 2, len(data) - 1):
        with pytest.raises(PictureError, match=r"^a\.jpg: .*\(the file is cut off\)"):
            pixels(data[:length])
    monkeypatch.setattr(read_picture, "_decode", lambda *_: None)
    with pytest.raises(PictureError, match="AVIF pictures such as this cannot be read by"):
        pixels(data)


def test_a_cut_heic_is_told_too():
    whole = box(b"heic")[:24] + b"\0\0\0\x20meta" + bytes(24) + b"\0\0\0\x18mdat" + bytes(16)
    with pytest.raises(PictureError, match="HEIC pictures such as this cannot be read by"):
        pixels(whole)
    for length in (24, 40, 56, 70, 79):
        with pytest.raises(PictureError, match="the file is cut off"):
            pixels(whole[:length])


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(sorted(CUTTABLE)),
    place=st.floats(0.0, 0.999),
    junk=st.binary(min_size=1, max_size=40),
)
def test_damage_anywhere_gives_a_picture_or_one_line(kind, place, junk):
    data = bytearray(CUTTABLE[kind])
    start = int(len(data) * place)
    data[start : start + len(junk)] = junk
    try:
        image = pixels(bytes(data))
    except PictureError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3


def test_damage_is_not_printed_by_the_codecs(capfd):
    for data in CUTTABLE.values():
        with pytest.raises(PictureError):
            pixels(data[: len(data) // 2])
    assert capfd.readouterr().err == ""


def test_a_jpeg_that_is_cut_off_is_refused_even_if_opencv_fills_it(monkeypatch):
    """OpenCV 4 returns the missing rows in grey, and no error."""
    grey = np.full((90, 120, 3), 128, np.uint8)
    monkeypatch.setattr(read_picture.cv2, "imdecode", lambda *_: grey)
    data = CUTTABLE["JPEG"]
    assert pixels(data) is grey
    with pytest.raises(PictureError, match="the file is cut off"):
        pixels(data[: len(data) // 2])


def box(brand):
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1" + brand + bytes(100)


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("a.heic", box(b"heic"), "HEIC pictures"),
        ("a", box(b"mif1"), "HEIC pictures"),
        ("a.jpg", box(b"heix"), "HEIC pictures"),
        ("a.avif", box(b"avif"), "AVIF pictures"),
        ("a.jxl", b"\xff\x0a" + bytes(50), "JPEG XL pictures"),
        ("a.exr", b"v/1\x01" + bytes(50), "OpenEXR pictures"),
        ("a.psd", b"8BPS\0\x01" + bytes(50), "Photoshop pictures"),
        ("a.NEF", b"MM\0*" + bytes(50), "raw files of cameras"),
        ("a.dng", encoded(TWO, "TIFF"), "raw files of cameras"),
        ("a.cr3", box(b"crx "), "raw files of cameras"),
    ],
)
def test_a_format_that_cannot_be_read_here_is_named(name, data, what, capfd):
    with pytest.raises(PictureError, match=rf"^{name}: {what}.*convert it to JPEG or PNG$"):
        pixels(data, name)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "text", ["BMW and Audi\n" * 9, "P5 is the fifth point\n", "P1 2nd\n", "GIF8 is old", "#?", "{}"]
)
def test_texts_are_no_pictures(text):
    assert picture_format(text.encode(), ".txt") is None


def png_of(width, height):
    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


def test_a_picture_above_opencvs_limit_is_one_line():
    with pytest.raises(PictureError, match=r"big\.png: has more pixels than OpenCV reads"):
        pixels(png_of(40000, 40000), "big.png")
