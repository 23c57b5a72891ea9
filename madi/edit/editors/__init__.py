"""Things that make edits, each with one `edit(works)`."""
