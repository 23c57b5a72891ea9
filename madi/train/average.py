"""Exponential moving average of a module's trained weights."""

from __future__ import annotations

import torch


class Average:
    """`values`, one a parameter that wants a gradient, with a warm-up so that early weights are forgotten."""

    def __init__(self, module: torch.nn.Module, decay: float):
        self.decay, self.count = decay, 0
        self.names = [name for name, p in module.named_parameters() if p.requires_grad]
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.values = [p.detach().clone() for p in self.parameters]

    def update(self) -> None:
        """Mix the present parameters in."""
        self.count += 1
        decay = min(self.decay, (1 + self.count) / (10 + self.count))
        torch._foreach_lerp_(self.values, [p.detach() for p in self.parameters], 1 - decay)

    def swap(self) -> None:
        """Exchange average and present parameters; twice is nothing."""
        for parameter, value in zip(self.parameters, self.values):
            kept = parameter.detach().clone()
            parameter.data.copy_(value)
            value.copy_(kept)
