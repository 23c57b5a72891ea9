"""Scores to cells with intervals and lineage, then CSV, Markdown, LaTeX, figures and the report. No torch, no model."""
