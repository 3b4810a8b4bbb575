"""What was made, shown to people."""
