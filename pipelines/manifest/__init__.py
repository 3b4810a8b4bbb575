"""Clips that a file describes."""
