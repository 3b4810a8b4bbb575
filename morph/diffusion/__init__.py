"""Everything that touches the denoiser."""
