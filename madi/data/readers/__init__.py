"""Where samples come from: the scene world, and one reader a published data set."""
