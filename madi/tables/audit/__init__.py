"""The paper's printed numbers, held against arithmetic and against each other: no model is asked, nothing is run."""
