"""Judges that answer the five questions of an edit."""
