"""Plans by grammar: every clause a step of its own, questions turned into requests, never more than asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madi.prompts.grammar import KEEP, plan


@pytest.mark.parametrize(
    ("instruction", "steps"),
    [
        ("make it red", ["Look at the picture and find what is to change.", "Make it red.", KEEP]),
        ("remove the dog and add a cat", ["Remove the dog.", "Add a cat.", KEEP]),
        ("Add salt and pepper", ["Look at the picture and find what is to change.", "Add salt and pepper.", KEEP]),
        (
            "Make it night. Then put stars in the sky, and move the moon",
            ["Make it night.", "Put stars in the sky.", "Move the moon.", KEEP],
        ),
        ("What if it rained?", ["Look at the picture and find what is to change.", "Show it so that it rained.", KEEP]),
        ("Let's add a hat!", ["Look at the picture and find what is to change.", "Add a hat.", KEEP]),
    ],
)
def test_clauses_are_steps(instruction, steps):
    assert plan(instruction, 5) == steps


def test_nothing_asked_has_no_plan():
    assert plan("  ", 5) == plan("...", 5) == []


@given(st.text(max_size=200), st.integers(1, 5))
def test_steps_are_sentences_and_never_too_many(instruction, most):
    made = plan(instruction, most)
    assert len(made) <= most and all(step.endswith(".") and len(step) > 1 for step in made)
