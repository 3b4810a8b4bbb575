"""What a setting knows of itself, and values for sections of them."""
