"""Ways to edit a picture with a denoiser that knows it: each a generator of steps, of latents or pictures."""
