"""Nodes for ComfyUI: what they do, their faces there, and the thin folder that brings them in."""
