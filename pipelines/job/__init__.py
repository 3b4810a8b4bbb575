"""One clip's folder: what is made in it, what it remembers, and its finished files; films and matches from files."""
