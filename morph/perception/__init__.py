"""Everything that looks at an image."""
