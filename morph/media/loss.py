"""What a video's pixels lose where they are read as 8-bit RGB."""

from __future__ import annotations

from pathlib import Path

from morph.media.video import _reading


def loses_as_rgb8(path: Path) -> bool:
    """Whether a video has more than 8 bits, or transparency, as its first frame tells.

    Raises:
        InputError: as ``read_video``.
    """
    # of the pixels that a PAM may have, ffmpeg takes those that lose least, and the heading names them
    with _reading(path, "-frames:v", "1", "-c:v", "pam", "-f", "image2pipe") as pipe:
        heading, _, pixels = pipe.read().partition(b"ENDHDR\n")
    fields = dict(line.split(b" ", 1) for line in heading.splitlines() if b" " in line)
    if int(fields[b"MAXVAL"]) > 255:
        return True
    channels = int(fields[b"DEPTH"])
    if channels in (2, 4):  # every GIF has a channel for it
        return path.suffix.lower() != ".gif" or min(pixels[channels - 1 :: channels]) < 255
    # a decoder of VP8 and VP9 leaves it out, but the file says that it is there
    with _reading(path, "-c", "copy", "-frames:v", "0", "-f", "ffmetadata") as pipe:
        return b"alpha_mode=1" in pipe.read().lower().splitlines()
