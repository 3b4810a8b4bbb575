"""One clip's folder: what is made in it, what it remembers, its finished files; films and matches from files."""
