"""One clip's folder, what it remembers, and its finished files; films and matches from files."""
