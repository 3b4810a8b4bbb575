"""How good a morph is."""
