"""Two fitted keyframes and the way between them."""
