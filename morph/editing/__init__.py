"""Edits of one picture by a diffusion model: what changes, and what is to stay as it is."""
