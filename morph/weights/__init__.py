"""Where weights are, and how they are read."""
