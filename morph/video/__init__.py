"""Video models that fill in between a first and a last frame, as diffusers builds them."""
