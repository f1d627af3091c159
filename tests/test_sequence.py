"""Sequences of frames: saved, sought, timed, and every frame decoded by itself."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
from commands import TINY, run
from PIL import Image, ImageFile, ImageOps, ImageSequence
from samples import EXIF, ICC, distance, opened, picture, split
from specification import WEIGHTS, second

import pillow_lic
from pillow_lic import _timing, container, errors
from pillow_lic.header import pack_varint

reference, synthesis = second(), second("synthesis")
SIZE = (150, 90)


def frames(mode: str = "RGB", count: int = 3) -> list[Image.Image]:
    turned = [picture(mode, SIZE), picture(mode, SIZE).transpose(Image.Transpose.ROTATE_180)]
    return [
        turned[number % 2].point(lambda v, n=number: v * (n + 2) // (n + 3))
        for number in range(count)
    ]


def saved(images: list[Image.Image], **options: Any) -> bytes:
    file = io.BytesIO()
    given = {"model": "tiny", "save_all": True, "append_images": images[1:], "tile": 64}
    images[0].save(file, "LIC", **{**given, **options})
    return file.getvalue()


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_every_frame_comes_back(mode: str):
    source = frames(mode)
    image = opened(saved(source, duration=[10, 20, 30.4], loop=2))
    assert (image.n_frames, image.is_animated, image.tell(), image.mode) == (3, True, 0, mode)
    alone = []
    for number, (frame, wait) in enumerate(zip(source, (10, 20, 30), strict=True)):
        image.seek(number)
        assert image.tell() == number
        assert (image.info["duration"], image.info["loop"]) == (wait, 2)
        still = io.BytesIO()
        frame.save(still, "LIC", model="tiny", tile=64)
        assert image.tobytes() == Image.open(still).tobytes()
        alone.append(image.tobytes())
    assert len(set(alone)) == 3
    for number in (1, 0, 2, 2):
        image.seek(number)
        assert image.tobytes() == alone[number]
    assert [frame.tobytes() for frame in ImageSequence.Iterator(image)] == alone


def test_random_access_decodes_one_frame(monkeypatch: pytest.MonkeyPatch):
    data = saved(frames(count=5))
    from pillow_lic import _codec

    calls: list[int] = []
    decode = _codec.decode
    monkeypatch.setattr(_codec, "decode", lambda *a, **k: calls.append(1) or decode(*a, **k))
    image = opened(data)
    image.seek(3)
    assert not calls
    image.load()
    image.load()
    assert len(calls) == 1
    image.seek(4)
    assert image.crop((0, 0, 20, 20)).size == (20, 20)  # before load: a region of that frame
    assert len(calls) == 2


def test_frames_of_other_kinds_are_made_alike():
    """Grey, colour, opacity and a palette beside each other; a frame list inside another image."""
    grey, rgba = picture("L", SIZE), picture("RGBA", SIZE)
    gif = io.BytesIO()
    frames()[0].save(gif, "GIF", save_all=True, append_images=frames()[1:])
    with Image.open(gif) as inner:
        inner.seek(1)
        image = opened(saved([grey, rgba, inner]))
        assert inner.tell() == 1
    assert (image.n_frames, image.mode) == (5, "RGBA")
    image.seek(0)
    assert image.getchannel("A").getextrema() == (255, 255)
    image.seek(1)
    assert image.getchannel("A").tobytes() == rgba.getchannel("A").tobytes()
    with pytest.raises(ValueError, match="frames: found sizes"):
        saved([grey, picture("L", (40, 30))])


@pytest.mark.parametrize("more", ["L", "RGB"])
def test_a_grey_profile_is_of_grey_frames(more: str):
    """Among colours the frame it came with is no longer grey."""
    grey = picture("L", SIZE)
    grey.info["icc_profile"] = ICC
    image = opened(saved([grey, picture(more, SIZE)]))
    assert (image.mode, image.info.get("icc_profile")) == (more, ICC if more == "L" else None)
    given = opened(saved([grey, picture(more, SIZE)], icc_profile=ICC))
    assert given.info["icc_profile"] == ICC


def test_one_frame_is_a_still():
    file = io.BytesIO()
    picture("RGB", SIZE).save(file, "LIC", model="tiny", tile=64)
    assert saved([picture("RGB", SIZE)]) == file.getvalue()


def test_dark_numbers_beside_bright_ones():
    """Modes I and F have no largest value: 200 is 200, whatever the other frames need."""
    dark, bright = (Image.new("I", SIZE, value) for value in (200, 40000))
    image = opened(saved([dark, bright], quality=90))
    means = []
    for frame in range(2):
        image.seek(frame)
        means.append(np.asarray(image).mean())
    assert means == pytest.approx([200, 40000], abs=300)
    assert opened(saved([dark, picture("RGB", SIZE)])).mode == "RGB"


def test_a_region_of_all_frames():
    image = pillow_lic.open(io.BytesIO(saved(frames())), region=(10, 20, 60, 50))
    whole = opened(saved(frames()))
    for number, frame in enumerate(ImageSequence.Iterator(image)):
        whole.seek(number)
        assert distance(frame, whole.crop((10, 20, 60, 50))) < 1


@pytest.mark.parametrize("frame", [-1, 3, 10])
def test_frames_that_are_not_there(frame: int):
    image = opened(saved(frames()))
    with pytest.raises(EOFError, match="allowed are 0 to 2"):
        image.seek(frame)
    assert image.tell() == 0


@pytest.mark.parametrize(
    "options",
    [{"duration": [1, 2]}, {"duration": -1}, {"duration": "long"}, {"loop": -1}, {"loop": 1 << 31}],
)
def test_bad_times(options: dict[str, Any]):
    with pytest.raises(ValueError, match=r"duration|loop"):
        saved(frames(), **options)


def test_damage_is_local_and_verify_finds_it(monkeypatch: pytest.MonkeyPatch):
    data = bytearray(saved(frames()))
    opened(bytes(data)).verify()
    data[-10] ^= 1
    with pytest.raises(errors.ChecksumError):
        opened(bytes(data)).verify()
    image = opened(bytes(data))
    image.load()
    image.seek(2)
    with pytest.raises(errors.ChecksumError):
        image.load()
    with pytest.raises(errors.TruncatedError):
        opened(bytes(data[:-20])).verify()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    whole, image = opened(saved(frames())), opened(bytes(data))
    for each in (whole, image):
        each.seek(2)
    assert image.getpixel((149, 89)) == (128, 128, 128)  # in the last tile, the one that was hit
    far = 0, 0, 32, 32  # of which no sample depends on it
    assert image.crop(far).tobytes() != Image.new("RGB", (32, 32), (128, 128, 128)).tobytes()
    assert distance(image.crop(far), whole.crop(far)) < 1
    cut = opened(bytes(data[: len(data) // 2]))
    cut.seek(2)
    assert cut.getextrema() == ((128, 128),) * 3


def test_pickle_keeps_the_frame_at_hand():
    image = opened(saved(frames()))
    image.seek(1)
    copy = pickle.loads(pickle.dumps(image))
    assert copy.tobytes() == image.tobytes()
    assert copy.n_frames == 1


def test_the_second_decoder_sees_all_frames(tmp_path: Path):
    path = tmp_path / "a.lic"
    path.write_bytes(saved(frames("LA")))
    decoded = reference.decode(path, WEIGHTS, strict=True)
    assert decoded.container.durations == [100, 100, 100]
    with Image.open(path) as image:
        for number in range(3):
            image.seek(number)
            found = synthesis.pixels(decoded, number).astype(int)
            assert np.abs(found - np.asarray(image)).max() <= 1


def test_previews_show_the_first_frame():
    image = opened(saved(frames(), preview=64))
    assert image.draft(None, (30, 30)) is not None
    image.seek(1)
    assert image.size == SIZE
    assert image.draft(None, (30, 30)) is None


def test_a_frame_may_be_changed_after_the_file_is_closed(tmp_path: Path):
    (tmp_path / "a.lic").write_bytes(saved(frames()))
    with Image.open(tmp_path / "a.lic") as image:
        image.load()
    image.putpixel((0, 0), (1, 2, 3))
    assert image.getpixel((0, 0)) == (1, 2, 3)


def test_imageio_counts_all_frames_of_a_batch(monkeypatch: pytest.MonkeyPatch):
    data = saved(frames())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", SIZE[0] * SIZE[1])  # twice that is too much
    with pytest.raises(Image.DecompressionBombError):
        iio.imread(data, extension=".lic")
    assert len(list(iio.imiter(data, extension=".lic"))) == 3
    assert iio.imread(data, extension=".lic", region=(0, 0, 32, 32)).shape == (3, 32, 32, 3)


def test_imageio_batches(tmp_path: Path):
    path = tmp_path / "a.lic"
    batch = np.stack([np.asarray(frame) for frame in frames()])
    iio.imwrite(path, batch, model="tiny", duration=[5, 6, 7], loop=1)
    props = iio.improps(path)
    assert (props.n_images, props.is_batch, props.shape) == (3, True, (3, 90, 150, 3))
    whole = iio.imread(path)
    assert whole.shape == batch.shape
    assert np.array_equal(iio.imread(path, index=2), whole[2])
    assert np.array_equal(iio.imread(path, index=np.int64(2)), whole[2])
    assert np.array_equal(np.stack(list(iio.imiter(path))), whole)
    assert iio.immeta(path)["duration"] == [5, 6, 7]
    assert iio.immeta(path, index=1)["duration"] == 6
    assert iio.improps(path, index=1).shape == (90, 150, 3)
    part = iio.imread(path, index=1, region=(10, 20, 60, 50)).astype(int)
    assert np.abs(part - whole[1, 20:50, 10:60]).max() <= 1
    for index in (3, "1"):
        with pytest.raises(ValueError, match=f"index: found {index!r}"):
            iio.imread(path, index=index)
    path.write_bytes(path.read_bytes() + b"T")
    with pytest.raises(errors.FormatError, match="after the last tile"):
        iio.imread(path)
    assert iio.imread(path, index=2).shape == batch.shape[1:]
    iio.imwrite(path, batch[..., 0], is_batch=True, model="tiny")
    assert iio.imread(path).shape == (3, 90, 150)


def test_imageio_wants_all_frames_at_once(tmp_path: Path):
    """One after another they would follow each other as files do."""
    pixels = np.asarray(picture())
    with iio.imopen(tmp_path / "a.lic", "w") as file:
        file.write(pixels, model="tiny")
        with pytest.raises(ValueError, match="found a second image, allowed is one list"):
            file.write(pixels, model="tiny")
    assert iio.imread(tmp_path / "a.lic").shape == pixels.shape
    file = io.BytesIO(b"before")
    file.seek(6)
    iio.imwrite(file, pixels, extension=".lic", model="tiny")
    assert file.getvalue() == b"before" + (tmp_path / "a.lic").read_bytes()


def test_commands(tmp_path: Path):
    source = frames()
    source[0].save(
        tmp_path / "a.gif", save_all=True, append_images=source[1:], duration=[40, 50, 60], loop=3
    )
    run("encode", tmp_path / "a.gif", *TINY, "--quality", 90)
    with Image.open(tmp_path / "a.lic") as image:
        assert (image.n_frames, image.info["loop"], image.info["duration"]) == (3, 4, 40)
    found = run("info", tmp_path / "a.lic", "--json").output
    assert '"frames": 3' in found
    assert "3, 40 to 60 ms each, played 4 times" in run("info", tmp_path / "a.lic").output
    run("verify", tmp_path / "a.lic")
    run("decode", tmp_path / "a.lic", "-o", tmp_path / "b.webp")
    with Image.open(tmp_path / "b.webp") as image:
        assert image.n_frames == 3
        image.seek(2)
        image.load()
        assert image.info["duration"] == 60
    found = run("decode", tmp_path / "a.lic", "-o", tmp_path / "b.bmp").output
    assert "took the first of 3 pictures" in found
    (tmp_path / "turned.lic").write_bytes(saved(source, exif=EXIF))
    for name, options, size in (
        ("t.gif", (), SIZE[::-1]),
        ("t.webp", (), SIZE),
        ("u.webp", ("--no-keep-metadata",), SIZE[::-1]),
        ("t.bmp", (), SIZE[::-1]),
    ):
        run("decode", tmp_path / "turned.lic", "-o", tmp_path / name, *options)
        with Image.open(tmp_path / name) as image:
            assert image.size == size
            assert getattr(image, "n_frames", 1) == (1 if name == "t.bmp" else 3)
    run("transcode", tmp_path / "a.lic", "-o", tmp_path / "c.lic", "--quality", 50)
    run("strip", tmp_path / "a.lic", "-o", tmp_path / "d.lic")
    for name in ("c.lic", "d.lic"):
        with Image.open(tmp_path / name) as image:
            image.seek(2)
            assert image.info["duration"] == 60
            assert distance(image, source[2]) < 25


def test_frames_changed_in_place():
    """Whatever a caller makes of one frame, the next has its own size and mode."""
    source = frames()
    changes: tuple[Callable[[Image.Image], object], ...] = (
        lambda frame: frame.thumbnail((16, 16)),
        lambda frame: ImageOps.exif_transpose(frame, in_place=True),
        lambda frame: frame.putalpha(128),
        lambda frame: frame.draft(None, (16, 16)),
    )
    for change in changes:
        image = opened(saved(source, exif=EXIF, preview=64))
        for number, frame in enumerate(ImageSequence.Iterator(image)):
            assert distance(frame.convert("RGB"), source[number]) < 25
            change(frame)
        image.seek(0)
        assert distance(image, source[0]) < 25
        image.seek(1)
        image.draft(None, (16, 16))
        image.load()
        assert image.size == SIZE


@pytest.mark.parametrize("loaded", [False, True])
def test_saved_over_itself(tmp_path: Path, loaded: bool):
    path = tmp_path / "a.lic"
    path.write_bytes(saved(frames(), exif=bytes(20_000)))  # more than what is buffered
    with Image.open(path) as image:
        if loaded:
            image.seek(1)
            image.load()
        file = image._fp
        image.save(path, save_all=True, quality=90, model="tiny", exif=bytes(20_000))
        assert file.closed
    with Image.open(path) as image:
        assert (image.n_frames, image.info["quality"]) == (3, 90)
        image.seek(2)
        assert distance(image, frames()[2]) < 40


@pytest.mark.parametrize("loop", [None, 0, 1, 5])
def test_play_counts(tmp_path: Path, loop: int | None):
    """GIF counts repetitions, and without any plays once; `.lic` counts plays, 0 for ever."""
    source = frames()
    options = {} if loop is None else {"loop": loop}
    source[0].save(tmp_path / "a.gif", save_all=True, append_images=source[1:], **options)
    run("encode", tmp_path / "a.gif", *TINY)
    with Image.open(tmp_path / "a.lic") as image:
        assert image.info["loop"] == (1 if loop is None else loop + 1 if loop else 0)
    run("decode", tmp_path / "a.lic", "-o", tmp_path / "b.gif")
    with Image.open(tmp_path / "b.gif") as image:
        assert image.info.get("loop") == loop


def test_pictures_that_are_no_frames(tmp_path: Path):
    """PNG may hold one for programs that cannot show the animation."""
    source = frames()
    source[0].save(
        tmp_path / "a.png", save_all=True, append_images=source[1:], duration=70, default_image=True
    )
    run("encode", tmp_path / "a.png", *TINY)
    with Image.open(tmp_path / "a.lic") as image:
        assert image.n_frames == 2
        assert image.info["duration"] == 70
        assert distance(image, source[1]) < 25


def test_a_million_frames_are_read_at_once():
    """What is alike is read once, and what never ends is not read again and again."""
    count = 1 << 20
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        plain = _timing.unpack_varint
        patch.setattr(_timing, "unpack_varint", lambda *a: calls.append(1) or plain(*a))
        found = _timing.Timing.unpack(b"\0" + pack_varint(count) + bytes(count))
    assert len(found.durations) == count
    assert len(calls) == 2
    with pytest.raises(errors.FormatError):  # takes weeks where time grows with the square
        _timing.Timing.unpack(b"\0\1\1" + b"\x80" * (5 << 20))


def test_metadata_belongs_to_the_whole():
    header, parts = split(saved(frames(), exif=EXIF))
    assert [tag for tag, _ in parts[:2]] == ["e", "F"]
    file = io.BytesIO(header)
    assert container.read_header(file).sequence
