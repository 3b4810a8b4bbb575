"""The stages of a morph: each a plain, typed piece that can be used alone."""
