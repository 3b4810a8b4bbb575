"""Semantic codes: a small vector that says what a picture shows, which a denoiser is told beside the noise."""
