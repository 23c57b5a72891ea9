"""Plans by grammar alone: an instruction's own clauses as steps, for those who ask no model.

It knows no picture. An instruction of one clause becomes finding, doing and keeping; one of several becomes its clauses
in their order, each an imperative of its own.
"""

from __future__ import annotations

import re

# Where one request ends and the next begins: punctuation, or "and (then)" before another verb.
VERBS = (
    "add/put/place/insert/draw/give remove/delete/erase/take/get make/turn/change/convert/transform replace/swap "
    "move/shift/push/pull/lift/open/close rotate/flip/crop/zoom recolor/recolour/paint/color/colour set/let/have "
    "darken/brighten/blur/sharpen increase/decrease/apply write/label/show/keep"
)
VERB = "|".join(sorted(set(re.split(r"[ /]", VERBS))))
ENDS = re.compile(
    rf"\s*(?:[;.!?]+\s+|,?\s+(?:and\s+)?then\s+|,\s*(?:and\s+)?(?=(?:{VERB})\b)|\s+and\s+(?=(?:{VERB})\b))", re.I
)
# Ways to ask that are no imperative: "what if", "can you", "let's".
POLITE = re.compile(
    r"^(?:(?:and )?then|please|can you|could you|would you|i want(?: you)? to|let'?s|let us|we should|you should)\s+",
    re.I,
)
WHAT_IF = re.compile(r"^(?:what if|how about if|imagine(?: that| if)?|suppose)\s+", re.I)
KEEP = "Keep everything else as it is."


def plan(instruction: str, steps: int) -> list[str]:
    """At most `steps` sub-prompts of an instruction, each a sentence; empty for an empty one."""
    clauses = [sentence(clause) for clause in ENDS.split(instruction.strip()) if clause and clause.strip(" .!?,;")]
    if not clauses:
        return []
    if len(clauses) == 1 and steps >= 3:
        return ["Look at the picture and find what is to change.", clauses[0], KEEP]
    return [*clauses[: max(1, steps - 1)], KEEP][:steps]


def sentence(clause: str) -> str:
    """An imperative with a capital and a full stop."""
    text = POLITE.sub("", clause.strip(" .!?,;"))
    if WHAT_IF.search(text):
        text = f"Show it so that {WHAT_IF.sub('', text)}"
    return f"{text[:1].upper()}{text[1:]}."
