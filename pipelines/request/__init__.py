"""What was asked for, frozen and checked once."""
