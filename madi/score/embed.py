"""Embeddings, each distinct image or caption once, and the similarities made of them.

Shapes: D embedding width; f an image's and g a caption's embedding, rows of length 1, float32 [D].
S source, E edit, G target; c_s and c_t the captions of source and target.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np

SAME = 1e-6  # two embeddings nearer than this are one


class Once:
    """Runs `encode` over distinct items in batches of one fixed size.

    The last batch is filled up with copies of its last item, so that every item goes through matrices of the same
    shape whatever it is batched with: an item's embedding is the same alone and in any company.
    """

    def __init__(self, encode: Callable[[list], np.ndarray], batch: int):
        self.encode, self.batch = encode, batch
        self.waiting: dict[Hashable, object] = {}
        self.done: dict[Hashable, np.ndarray] = {}

    def add(self, key: Hashable, make: Callable[[], object]) -> Hashable:
        """Asks for the embedding of `make()` under `key`; known keys cost nothing. Returns the key."""
        if key not in self.done and key not in self.waiting:
            self.waiting[key] = make()
            if len(self.waiting) == self.batch:
                self._run()
        return key

    def __getitem__(self, key: Hashable) -> np.ndarray:
        """float32 [D] of a key that was added."""
        if key in self.waiting:
            self._run()
        return self.done[key]

    def _run(self):
        items = list(self.waiting.values())
        rows = self.encode(items + items[-1:] * (self.batch - len(items)))
        self.done.update(zip(self.waiting, rows, strict=False))
        self.waiting.clear()


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of two vectors [D], in float64."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def direction(f_source, f_edit, g_source, g_target) -> tuple[float | None, str | None]:
    """CLIP-Dir, cos(f(E) - f(S), g(c_t) - g(c_s)): (value, None), or a value or None with the reason.

    Captions that embed alike (cut at the context length, say) give no direction: (None, "captions embed alike"), to be
    excluded and counted.
    An edit that embeds as its source does went nowhere: (0, "copied").
    """
    image = np.asarray(f_edit, np.float64) - np.asarray(f_source, np.float64)
    text = np.asarray(g_target, np.float64) - np.asarray(g_source, np.float64)
    if np.linalg.norm(text) < SAME:
        return None, "captions embed alike"
    if np.linalg.norm(image) < SAME:
        return 0.0, "copied"
    return cosine(image, text), None
