"""The `photo` service: one picture for a person."""
