"""What a clip is made by: loading, fitting, rendering, and what of it is kept."""
