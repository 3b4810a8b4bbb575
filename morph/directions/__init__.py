"""Directions in spaces that pictures are made from: found, kept, and gone along."""
