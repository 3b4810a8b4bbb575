"""Mixtures of two pictures, or of what is learnt of them."""
