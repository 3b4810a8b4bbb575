import subprocess

import imageio_ffmpeg
import pytest

from morph.errors import InputError
from morph.media.film import loses_as_rgb8


@pytest.mark.parametrize(
    ("name", "colour", "pixels", "codec", "loses"),
    [
        ("a.mp4", "red", "yuv420p", "libx264", False),
        ("a.mkv", "red", "gray", "ffv1", False),
        ("a.mkv", "red", "gbrp16le", "ffv1", True),
        ("a.mov", "red", "yuv422p10le", "prores_ks", True),
        ("a.mov", "red@0.5", "argb", "qtrle", True),
        ("a.webm", "red@0.5", "yuva420p", "libvpx-vp9", True),
        ("a.webm", "red", "yuv420p", "libvpx-vp9", False),
        ("a.gif", "red", "bgr8", "gif", False),
        ("a.gif", "red@0", "pal8", "gif", True),
    ],
)
def test_depth_and_transparency_are_seen(tmp_path, name, colour, pixels, codec, loses):
    path = tmp_path / name
    source = f"color={colour}:s=32x32:d=0.2,format=rgba"
    if pixels == "pal8":
        source += ",split[a][b];[a]palettegen[p];[b][p]paletteuse"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", pixels]
    subprocess.run([*command, "-c:v", codec, str(path)], check=True)
    assert loses_as_rgb8(path) is loses


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(InputError, match="cannot be read as a video"):
        loses_as_rgb8(tmp_path / "a.mp4")
