"""Directions of spaces that pictures are made from, from what was asked for to files and sheets."""
