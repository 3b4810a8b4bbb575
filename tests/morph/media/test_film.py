"""Films as they come: their times, colours and shapes."""

from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from morph.errors import InputError
from morph.media.carried import Carried
from morph.media.ffmpeg import spoken
from morph.media.film import loses_as_rgb8, open_film, read_video
from tests.morph.media.films import ffmpeg, picture

PATCHES = np.array([(200, 30, 30), (30, 180, 40), (40, 60, 190), (128, 128, 128)], np.uint8)


def chart(path, width, height):
    Image.fromarray(PATCHES[None].repeat(height, 0).repeat(width // 4, 1)).save(path)
    return ("-loop", 1, "-r", 24, "-t", 0.2, "-i", path)


def patches(path):
    """The middle of each patch of a film's first frame, as it is read."""
    frame = next(iter(read_video(path))).astype(int)
    width = frame.shape[1] // 4
    return frame[frame.shape[0] // 2, width // 2 :: width]


@pytest.mark.parametrize("size", [(1280, 720), (1920, 400), (640, 480)])
@pytest.mark.parametrize("full", [False, True])
def test_colours_without_tags_are_what_players_take_them_for(tmp_path, size, full):
    path = tmp_path / "a.mp4"
    matrix = "bt709" if size != (640, 480) else "smpte170m"
    colours = f"scale=out_color_matrix={matrix}:out_range={'pc' if full else 'tv'},setparams=colorspace=unknown"
    pixels = "yuvj420p" if full else "yuv420p"
    ffmpeg(*chart(tmp_path / "c.png", *size), "-vf", colours, "-pix_fmt", pixels, "-crf", 4, path)
    assert np.abs(patches(path) - PATCHES).max() <= 3


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
def test_colours_with_tags_are_what_these_say(tmp_path, matrix):
    path = tmp_path / "a.mkv"
    tagged = f"scale=out_color_matrix={matrix}:out_range=tv,setparams=colorspace={matrix}:range=tv"
    ffmpeg(*chart(tmp_path / "c.png", 64, 48), "-vf", tagged, "-pix_fmt", "yuv444p", "-crf", 4, path)
    assert np.abs(patches(path) - PATCHES).max() <= 3


@pytest.mark.parametrize(("transfer", "word"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_hdr_is_brought_to_sdr_and_said(tmp_path, transfer, word):
    path = tmp_path / "a.mkv"
    given = "format=gbrp,setparams=color_primaries=bt709:color_trc=bt709:range=pc:colorspace=gbr"
    light, coded = (
        "zscale=t=linear:npl=203,format=gbrpf32le",
        f"zscale=p=bt2020:t={transfer}:m=bt2020nc:r=tv:npl=203",
    )
    tags = ("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc")
    coding = ("-c:v", "libx265", "-x265-params", "log-level=error", "-crf", 4, *tags)
    filters = f"{given},{light},{coded},format=yuv420p10le"
    ffmpeg(*chart(tmp_path / "c.png", 64, 48), "-vf", filters, *coding, path)
    film = open_film(path)
    assert f"{path}: its HDR ({word}) is brought to the range of SDR, BT.709" in film.notices
    found = patches(path)
    assert np.abs(found[3] - found[3].mean()).max() <= 3  # grey stays grey
    assert (found[:3].argmax(1) == PATCHES[:3].argmax(1)).all()  # red, green and blue stay so
    if transfer == "smpte2084":  # HLG's light depends on the display
        assert np.abs(found - PATCHES).max() <= 40  # bright colours are compressed, others stay
    plain = next(av.open(str(path)).decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert np.abs(plain[24, 8::16] - PATCHES).max() > np.abs(found - PATCHES).max()


@pytest.mark.parametrize(("primaries", "word"), [("bt2020", "BT.2020"), ("smpte432", "Display P3")])
def test_wide_colours_become_those_of_bt709(tmp_path, primaries, word):
    path = tmp_path / "a.mkv"
    wide = f"zscale=tin=bt709:min=gbr:pin=bt709:rin=pc:p={primaries}:t=bt709:m=bt709:r=tv,format=yuv444p"
    tags = ("-color_primaries", primaries, "-color_trc", "bt709", "-colorspace", "bt709")
    ffmpeg(*chart(tmp_path / "c.png", 64, 48), "-vf", wide, "-crf", 4, *tags, path)
    assert open_film(path).notices == (f"{path}: its colours ({word}) are brought into those of BT.709",)
    assert np.abs(patches(path) - PATCHES).max() <= 3


def test_fields_become_frames(tmp_path):
    path = tmp_path / "a.mp4"
    fields = "tinterlace=interleave_top,setfield=tff"
    coding = ("-c:v", "libx264", "-x264opts", "tff=1", "-flags", "+ilme+ildct", "-pix_fmt", "yuv420p")
    ffmpeg(*picture(1, "50", "160x120"), "-vf", fields, *coding, path)
    film = open_film(path)
    assert (film.times.fps, film.look.interlaced) == (50, True)
    assert film.notices == (f"{path}: it is interlaced: each of its fields becomes a frame",)
    frames = list(film.frames())
    assert len(frames) == len(film.times.starts)
    progressive = tmp_path / "p.mp4"
    ffmpeg(*picture(1, "50", "160x120"), progressive)
    errors = [np.abs(a.astype(int) - b).mean() for a, b in zip(frames, read_video(progressive), strict=False)]
    assert np.mean(errors) < 6  # those of whole frames: no combs


@pytest.mark.parametrize("aspect", [Fraction(16, 11), Fraction(8, 9), Fraction(1)])
def test_the_shape_of_pixels_is_read(tmp_path, aspect):
    path = tmp_path / "a.mp4"
    ffmpeg(*picture(0.2), "-vf", f"setsar={aspect.numerator}/{aspect.denominator}", path)
    assert open_film(path).look.aspect == aspect


@pytest.mark.parametrize("suffix", [".ts", ".mts", ".mpg", ".flv", ".wmv", ".avi", ".webm", ".ogv", ".mxf", ".m4v"])
def test_containers_of_all_kinds_are_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    ffmpeg(*picture(1, "25"), "-pix_fmt", "yuv420p", path)
    film = open_film(path)
    assert film.times.fps == 25
    assert len(film.times.starts) == len(list(film.frames())) == 25


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("stamp", ["N*40+lt(mod(N,3),1)*39", "floor(N/2)*80", "N*33+15*sin(N)"])
def test_frames_that_are_close_are_all_taken(tmp_path, suffix, stamp):
    path = tmp_path / f"a{suffix}"
    exact = ("-fps_mode", "passthrough", "-enc_time_base", "1/1000", "-bf", 0)
    ffmpeg(*picture(1), "-vf", f"settb=1/1000,setpts='{stamp}'", *exact, path)
    film = open_film(path)
    with av.open(str(path)) as container:
        stamps = sorted(float(frame.time) for frame in container.decode(video=0))
    assert len(list(film.frames())) == len(film.times.starts) == len(stamps)
    if film.times.fps is None:
        assert [float(start) for start in film.times.starts] == pytest.approx(
            [stamp - stamps[0] for stamp in stamps], abs=0.002
        )


def test_pictures_that_change_size_are_told(tmp_path):
    for name, size in (("a", "64x48"), ("b", "96x64")):
        ffmpeg(*picture(0.5, size=size), "-g", 1, tmp_path / f"{name}.ts")
    whole = tmp_path / "c.mkv"
    joined = b"".join((tmp_path / f"{name}.ts").read_bytes() for name in "ab")
    (tmp_path / "c.ts").write_bytes(joined)
    ffmpeg("-i", tmp_path / "c.ts", "-c", "copy", whole)
    film = open_film(whole)
    assert film.notices == (f"{whole}: its pictures change from 64x48 to 96x64: all are brought to the first size",)
    frames = list(film.frames())
    assert {frame.shape for frame in frames} == {(48, 64, 3)}
    assert len(frames) == len(film.times.starts) > 20


def test_rotation_is_applied(tmp_path):
    ffmpeg(*picture(0.2), tmp_path / "a.mp4")
    ffmpeg("-display_rotation", 90, "-i", tmp_path / "a.mp4", "-c", "copy", tmp_path / "b.mp4")
    upright, turned = (next(iter(read_video(tmp_path / name))) for name in ("a.mp4", "b.mp4"))
    assert np.abs(turned - np.rot90(upright).astype(int)).mean() < 1


def test_damage_is_found_before_any_frame(tmp_path):
    path = tmp_path / "a.mkv"
    ffmpeg(*picture(2), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(InputError, match="cannot be read as a video") as caught:
        open_film(path)
    assert "0x" not in str(caught.value)


def test_sound_alone_is_no_film(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", tmp_path / "a.mp4")
    with pytest.raises(InputError, match="there are no pictures in it"):
        open_film(tmp_path / "a.mp4")


def test_what_eight_bits_lose(tmp_path):
    ffmpeg(*picture(0.2), tmp_path / "a.mp4")
    ffmpeg("-i", tmp_path / "a.mp4", "-pix_fmt", "yuv422p10le", "-c:v", "prores_ks", tmp_path / "deep.mov")
    assert not loses_as_rgb8(tmp_path / "a.mp4")
    assert loses_as_rgb8(tmp_path / "deep.mov")


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_film_is_decoded_once_before_its_frames_are_taken(tmp_path, monkeypatch, interlaced):
    path, whole = tmp_path / "a.mkv", []

    def counted(*words, **more):
        whole.append("-frames:v" not in words)
        return spoken(*words, **more)

    ffmpeg(*picture(1, "25"), "-vf", f"setfield={'tff' if interlaced else 'prog'}", "-c:v", "ffv1", path)
    monkeypatch.setattr("morph.media.film.spoken", counted)
    film = open_film(path)
    assert sum(whole) == 1
    assert (film.look.interlaced, film.rate, film.times.fps) == (interlaced, 25, 50 if interlaced else 25)
    assert len(list(film.frames())) == len(film.times.starts) == (50 if interlaced else 25)


@pytest.mark.parametrize("flag", [(), ("-disposition:v:0", "attached_pic")])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_cover_in_front_of_the_film_is_passed_over(tmp_path, suffix, flag):
    Image.new("RGB", (90, 120), (200, 0, 0)).save(tmp_path / "cover.png")
    ffmpeg(*picture(1), "-pix_fmt", "yuv420p", tmp_path / "film.mp4")
    path = tmp_path / f"a{suffix}"
    both = ("-i", tmp_path / "cover.png", "-i", tmp_path / "film.mp4", "-map", 0, "-map", 1)
    ffmpeg(*both, "-c", "copy", *flag, path)
    film, plain = open_film(path), open_film(tmp_path / "film.mp4")
    assert film.look.size == plain.look.size
    assert len(film.times.starts) == len(plain.times.starts) == 24
    for read in (film.frames(), read_video(path)):
        assert all(np.array_equal(a, b) for a, b in zip(read, plain.frames(), strict=True))
    assert not loses_as_rgb8(path)
    (left,) = Carried.of(film, tmp_path / "b.mp4", Fraction(24)).notices
    assert left.endswith("not taken into " + str(tmp_path / "b.mp4") + ": picture png")


def test_a_film_of_pictures_is_one(tmp_path):
    path = tmp_path / "a.avi"
    ffmpeg(*picture(0.5), "-c:v", "mjpeg", path)
    assert len(open_film(path).times.starts) == 12
