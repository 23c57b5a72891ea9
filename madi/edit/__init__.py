"""The `edit` stage: editors make edits of benchmark samples."""
