"""Judges: who looks at an edit and answers questions about it, and by which protocol they are asked.

A protocol is a module with `NAME`, `METRICS`, `CALLS` (a rollout), `asks(sample, edit)`, `askings(case, rollouts)` and
`scores(rows, questions)`. Whoever answers is a `madi.chat` model: an endpoint, a local model, stored answers, or the
scene oracle.
"""
