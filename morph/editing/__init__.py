"""Editors of a picture: what makes the other end of a morph out of a keyframe."""
