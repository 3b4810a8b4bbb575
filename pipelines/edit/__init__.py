"""Editing a keyframe: the canvas that editors work on, and one function for each way to edit."""
