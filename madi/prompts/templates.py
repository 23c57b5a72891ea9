"""The words of the judge's questions: five a sample, in the manner of the paper's Figure 16.

A template is (tag, question, answers from worst to best). Tags: IF instruction following, IDP identity preservation,
PQ perceptual quality. `{...}` is filled from the sample's op: instruction, thing, place, and the op's own words.
"""

UNKNOWN = "Cannot be told."

ALIGNMENT = (
    "IF",
    'How well does the edited picture follow "{instruction}"?',
    (
        "Not at all; nothing that was asked is there.",
        "Hardly; a trace of what was asked.",
        "In part; less than half of what was asked.",
        "Mostly; more than half of what was asked.",
        "Well; a detail is not as asked.",
        "Entirely; all of it is as asked.",
    ),
)
EXCESS = (
    "IF",
    'Does the edit do what "{instruction}" asks for, neither less nor more?',
    (
        "It does something else.",
        "It does far too little, or far too much.",
        "It does clearly too little, or too much.",
        "It does a little too little, or too much.",
        "It does just what was asked.",
    ),
)
PRESERVATION = (
    "IDP",
    'How much of the source does the edited picture keep, apart from what "{instruction}" changes?',
    (
        "Nothing; it is another picture.",
        "Little; most things or the surroundings are others.",
        "Some; several things have changed unasked.",
        "Much; one or two things have changed unasked.",
        "Nearly all; a detail has changed unasked.",
        "All; nothing has changed but what was asked.",
    ),
)
DISTORTION = (
    "PQ",
    "How free is the edited picture of distortions, smears and broken outlines?",
    (
        "It is hardly a picture.",
        "Distorted all over.",
        "Distorted in several places.",
        "Distorted in one place.",
        "Traces, seen only on a close look.",
        "Free of them.",
    ),
)
BLENDING = (
    "PQ",
    "How well do light, style and edges of what is shown fit together?",
    (
        "Not at all; its parts are of different pictures.",
        "Badly; seams and wrong shades stand out.",
        "Fairly; a seam or a wrong shade can be seen.",
        "Well; hardly a flaw.",
        "Perfectly; as if drawn at once.",
    ),
)

OF_OP = {
    "add": (
        "IF",
        "Is there {article} {added} {place} now?",
        (
            "Nothing was added.",
            "Something else was added.",
            "It is there with a wrong shape or colour.",
            "It is there with a wrong size or in a wrong place.",
            "It is there as asked.",
        ),
    ),
    "remove": (
        "IF",
        "Is {thing} gone?",
        (
            "It is there as before.",
            "It is there, changed.",
            "Another thing stands in its place.",
            "A trace of it is left.",
            "It is gone, and the background closes behind it.",
        ),
    ),
    "recolor": (
        "IF",
        "Which colour has {thing} now?",
        (
            "It is gone, or has its old colour.",
            "A colour far from {colour}.",
            "A colour between the old one and {colour}.",
            "{colour}, not everywhere.",
            "{colour}.",
        ),
    ),
    "reshape": (
        "IF",
        "Is {thing} a {shape} now?",
        (
            "It is gone, or has its old shape.",
            "It has some other shape.",
            "It is between its old shape and a {shape}.",
            "It is a {shape} with a broken outline.",
            "It is a {shape}.",
        ),
    ),
    "resize": (
        "IF",
        "Is {thing} {size} now?",
        (
            "It is gone, or has its old size.",
            "Its size has changed the wrong way.",
            "Its size has changed a little.",
            "It is nearly {size}.",
            "It is {size}.",
        ),
    ),
    "letter": (
        "IF",
        "Does {thing} bear {letter} now?",
        (
            "It is as before, or gone.",
            "It bears something else.",
            "It bears marks that cannot be read.",
            "It bears {letter}, badly drawn or partly seen.",
            "It bears {letter}, and nothing else.",
        ),
    ),
    "wipe": (
        "IF",
        "Is the letter off {thing} now?",
        (
            "It bears its letter as before, or is gone.",
            "It bears another letter.",
            "It bears marks that cannot be read.",
            "It bears a trace of its letter.",
            "It is clean.",
        ),
    ),
    "background": (
        "IF",
        "Is {ground} behind the things now?",
        (
            "The background is as before.",
            "Another background is there.",
            "Parts of the old background are left.",
            "{ground} is there with flaws.",
            "{ground} is everywhere behind them.",
        ),
    ),
    "light": (
        "IF",
        "Does the picture show the scene {light} now?",
        (
            "The light is as before.",
            "The light has changed to another.",
            "Some parts show the scene {light}.",
            "Nearly all parts do.",
            "The whole scene is shown {light}.",
        ),
    ),
    "style": (
        "IF",
        "Is everything drawn in {style} now?",
        (
            "The style is as before.",
            "The style has changed to another.",
            "Some parts are in {style}.",
            "Nearly all parts are.",
            "Everything is in {style}.",
        ),
    ),
}
