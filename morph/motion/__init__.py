"""Frames between close ones, by how things move."""
