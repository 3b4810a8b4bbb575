"""Many clips: here, on worker processes, or on a cluster."""
