"""Every encode preset in every file it goes into, read back by decoders that are not morph's."""

import subprocess
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np
import pytest

from morph.media.film import read_video
from morph.media.frame import to_rgb8
from morph.media.recipe import read_recipe
from morph.media.target import CONTAINERS, Stream
from tests.pipelines.output.conftest import FILES, NTSC, TARGETS, errors, write
from tests.readback import centres, chart, read_back

ONE_EACH = [(name, target.suffixes[0]) for name, target in TARGETS.items()]
ALPHA = [(name, suffix) for name, suffix in FILES if TARGETS[name].pixels.alpha]
RATES = [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(60000, 1001)]

# what the decoder finds for frames of 8 bits, of 16 bits, and of 8 bits with transparency
FORMATS = {
    "apng": ("rgb24", "rgb48be", "rgba"),
    "av1": ("yuv420p10le", "yuv420p10le", ""),
    "dnxhr-hqx": ("yuv422p10le", "yuv422p10le", ""),
    "ffv1": ("bgr0", "gbrp16le", "bgra"),
    "gif": ("bgra", "bgra", ""),
    "h264": ("yuv420p", "yuv420p", ""),
    "hevc": ("yuv420p", "yuv420p10le", ""),
    "prores-4444": ("yuv444p12le", "yuv444p12le", "yuva444p12le"),  # coded from 10 bits
    "prores-hq": ("yuv422p10le", "yuv422p10le", ""),
    "webm-vp9": ("yuv420p", "yuv420p", "yuva420p"),
    "webp": ("RGB", "RGB", "RGBA"),
}
LOSSLESS = ("ffv1", "apng")


def grey(count, width=256, height=128):
    """Frames that tell which they are."""
    return [np.full((height, width, 3), 20 + 8 * index, np.uint8) for index in range(count)]


@pytest.mark.parametrize(("preset", "suffix"), FILES)
def test_count_order_length_and_tags(tmp_path, preset, suffix):
    read = read_back(write(tmp_path / f"a{suffix}", grey(12), preset, comment='{"morph": 1}'))
    assert [round((frame[..., :3].mean() - 20) / 8) for frame in read.frames] == list(range(12))
    # Matroska and WebP count in milliseconds, GIF in hundredths of a second
    unit = {".gif": 0.011, ".webp": 0.002, ".apng": 1e-4, ".mkv": 0.0011, ".webm": 0.0011}.get(suffix, 1e-5)
    assert read.times == pytest.approx([float(index / NTSC) for index in range(12)], abs=unit)
    if suffix != ".apng":  # ffmpeg's reader knows no length of it
        assert read.seconds == pytest.approx(float(12 / NTSC), abs=unit)
    assert read.pixel_format == FORMATS[preset][0]
    if read.pixel_format.startswith("yuv"):
        assert read.tags == (1, 1, 1, 1)  # BT.709 three times, video range
    elif preset in LOSSLESS:
        assert read.tags == (0, 1, 13, 2)  # RGB, BT.709's primaries, sRGB's curve, full range
    assert read.comment == ('{"morph": 1}' if CONTAINERS[suffix].comment else None)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize(("preset", "suffix"), [pair for pair in FILES if pair[1] not in (".gif", ".webp")])
def test_rates_come_back_as_the_same_fraction(tmp_path, preset, suffix, fps):
    path = write(tmp_path / f"a{suffix}", grey(5), preset, fps)
    if suffix in (".mkv", ".webm") and fps == Fraction(60000, 1001):
        # ffmpeg's reader has no room for a numerator above 30000; the file says how long a frame lasts, in ns
        assert round(10**9 / fps).to_bytes(3, "big") in path.read_bytes()[:2000]
    else:
        assert read_back(path).rate == fps


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("preset", "suffix"), FILES)
def test_colours(tmp_path, preset, suffix, depth):
    frame = chart(depth=depth)
    path = write(tmp_path / f"a{suffix}", [frame] * 3, preset)
    read = read_back(path)
    assert read.pixel_format == FORMATS[preset][depth == 16]
    colour, _ = errors(path, frame)
    assert colour <= (0 if preset in LOSSLESS else 1 if read.bits > 8 else 2)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("preset", "suffix"), ALPHA)
def test_opaque_half_and_transparent_patches(tmp_path, preset, suffix, depth):
    frame = chart(alpha=True, depth=depth)
    path = write(tmp_path / f"a{suffix}", [frame] * 3, preset, alpha="keep")
    if depth == 8:
        assert read_back(path).pixel_format == FORMATS[preset][2]
    colour, alpha = errors(path, frame)
    exact = preset in LOSSLESS and not (preset == "apng" and depth == 16)
    assert colour <= (0 if exact else 2)
    assert alpha <= (0 if exact or (preset == "webp" and depth == 8) else 2)


@pytest.mark.parametrize(("preset", "suffix"), [kind for kind in ALPHA if kind[1] != ".webp"])
def test_what_is_transparent_is_read_as_laid_on_black(tmp_path, preset, suffix):
    frame = chart(alpha=True)
    path = write(tmp_path / f"a{suffix}", [frame] * 3, preset, alpha="keep")
    read = list(read_video(path))
    assert [found.shape for found in read] == [(*frame.shape[:2], 3)] * 3
    assert np.abs(centres(read[0]).astype(int) - centres(to_rgb8(frame))).max() <= (0 if preset in LOSSLESS else 2)


def test_the_transparency_of_vp8_is_read(tmp_path):
    source, path = write(tmp_path / "a.mkv", [chart(alpha=True)], "ffv1", alpha="keep"), tmp_path / "a.webm"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", source, "-auto-alt-ref", "0"]
    subprocess.run([*command, "-pix_fmt", "yuva420p", "-c:v", "libvpx", "-b:v", "2M", path], check=True)
    assert not centres(next(read_video(path)))[-1, -1].any()


def test_ten_bits_keep_more_of_sixteen_than_eight_do(tmp_path):
    """A ramp too slow for 8 bits: each step of theirs is more than four columns wide."""
    levels = np.linspace(30000, 36000, 256).astype(np.uint16)
    ramp = levels[None, :, None].repeat(128, 0).repeat(3, 2)
    found = {}
    for preset, suffix in ONE_EACH:
        read = read_back(write(tmp_path / f"{preset}{suffix}", [ramp] * 2, preset))
        found[preset] = np.abs(read.frames[0][64, :, 1] - levels / 257).mean()
    assert found["ffv1"] == found["apng"] == 0
    for preset in ("hevc", "prores-hq", "prores-4444", "dnxhr-hqx"):
        assert found[preset] < 0.5 * min(found["h264"], found["webm-vp9"])
    assert found["av1"] < min(found["h264"], found["webm-vp9"])


@pytest.mark.parametrize("alpha", [False, True])
def test_sixteen_bits_come_back_exactly(tmp_path, alpha):
    noise = np.random.default_rng(0).integers(0, 65536, (48, 64, 3 + alpha), np.uint16)
    for suffix in (".mkv", *(() if alpha else (".apng",))):
        read = read_back(
            write(tmp_path / f"a{suffix}", [noise, noise[::-1]], "auto" if suffix == ".apng" else "ffv1")
        )
        for frame, expected in zip(read.frames, (noise, noise[::-1]), strict=True):
            assert np.array_equal(np.rint(frame * 257), expected)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize(("preset", "suffix"), [("ffv1", ".mkv"), ("apng", ".apng")])
def test_eight_bits_come_back_exactly(tmp_path, preset, suffix, alpha):
    noise = np.random.default_rng(0).integers(0, 256, (3, 47, 63, 3 + alpha), np.uint8)
    assert np.array_equal(read_back(write(tmp_path / f"a{suffix}", list(noise), preset)).frames, noise)


@pytest.mark.parametrize(("preset", "suffix"), FILES)
def test_padding_keeps_the_pixels_at_the_top_left(tmp_path, preset, suffix):
    frame = chart()[:-1, :-1]
    path = write(tmp_path / f"a{suffix}", [frame] * 2, preset, odd="pad")
    (read, _) = read_back(path).frames if suffix != ".webp" else read_back(path).frames * 2
    coarse = TARGETS[preset].pixels.plain
    assert read.shape[:2] == (191 + ("420" in coarse), 255 + ("42" in coarse))
    assert np.abs(centres(read)[..., :3] - centres(frame.astype(float))).max() <= 2
    for line, last in ((read[-1], frame[-1]), (read[:, -1], frame[:, -1])):
        middles = slice(32, len(last), 64)
        assert np.abs(line[middles, :3] - last[middles].astype(float)).max() <= 3


@pytest.mark.parametrize(("preset", "suffix"), ONE_EACH)
def test_the_smallest_size_and_the_highest_rate_work(tmp_path, preset, suffix):
    target = TARGETS[preset]
    width, height = target.smallest
    frames = [np.full((height, width, 3), 20 + 20 * index, np.uint8) for index in range(4)]
    read = read_back(write(tmp_path / f"a{suffix}", frames, preset, Fraction(target.fastest), odd="pad"))
    assert len(read.frames) == 4
    assert read.frames[0].shape[:2] == target.padded(Stream((width, height), NTSC, 1))[::-1]
    assert read.seconds == pytest.approx(4 / target.fastest, abs=0.003) or suffix == ".apng"


@pytest.mark.parametrize(("preset", "suffix"), ONE_EACH)
def test_the_widest_and_the_highest_work(tmp_path, preset, suffix):
    target = TARGETS[preset]
    for size in ((target.largest[0], 256), (256, target.largest[1])):
        frame = np.full((size[1], size[0], 3), 99, np.uint8)
        assert read_back(write(tmp_path / f"a{suffix}", [frame], preset)).frames[0].shape[1::-1] == size


@pytest.mark.parametrize(("preset", "suffix"), FILES)
def test_the_same_frames_make_the_same_bytes(tmp_path, preset, suffix):
    noise = list(np.random.default_rng(0).integers(0, 256, (4, 120, 256, 3), np.uint8))
    first, second = (write(tmp_path / f"{name}{suffix}", noise, preset, comment="x") for name in "ab")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("preset", "suffix"), [("hevc", ".mp4"), ("prores-hq", ".mov"), ("ffv1", ".mkv"), ("av1", ".webm")]
)
def test_the_recipe_survives_a_remux(tmp_path, preset, suffix):
    recipe = '{"morph": "1", "prompt": "a=b; #c\\\\d \U0001f98a"}'
    path = write(tmp_path / f"a{suffix}", grey(2), preset, comment=recipe)
    copy = tmp_path / f"copy{suffix}"
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-c", "copy", copy], check=True)
    assert read_back(copy).comment == recipe
    assert read_recipe(copy) == read_recipe(path)


@pytest.mark.parametrize(
    ("timecode", "fps"),
    [
        ("01:00:00:00", Fraction(24)),
        ("01:00:00:00", NTSC),
        ("10:11:12:24", Fraction(25)),
        ("01:00:00:00", Fraction(30000, 1001)),
        ("01:00:00;00", Fraction(30000, 1001)),
        ("00:59:59;29", Fraction(30000, 1001)),
        (" 01:00:00;00 ", Fraction(60000, 1001)),
        ("23:59:59:59", Fraction(60)),
    ],
)
@pytest.mark.parametrize(
    ("preset", "suffix"), [("auto", ".mp4"), ("auto", ".mov"), ("prores-hq", ".mov"), ("dnxhr-hqx", ".mov")]
)
def test_timecode_comes_back(tmp_path, preset, suffix, timecode, fps):
    path = write(tmp_path / f"a{suffix}", grey(4), preset, fps, timecode=timecode)
    with av.open(str(path)) as container:
        (track,) = [stream for stream in container.streams if stream.type == "data"]
        assert track.metadata["timecode"] == timecode.strip()
        assert container.streams.video[0].average_rate == fps
        assert len(list(container.decode(video=0))) == 4


def test_frames_that_stand_still_in_webp_last_longer(tmp_path):
    frames = grey(4, 64, 48)
    read = read_back(write(tmp_path / "a.webp", [*frames, *[frames[-1]] * 4], fps=Fraction(25)))
    assert len(read.frames) == 4
    assert read.seconds == pytest.approx(8 / 25)
