"""The `score` stage: one row a number, from edits and samples."""
