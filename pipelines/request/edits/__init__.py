"""How a keyframe may be edited, and the options of each way: data alone."""
