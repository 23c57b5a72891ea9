"""The `bench` service: each claim of speed as a ratio against a named alternative, measured in one interleaved run."""
