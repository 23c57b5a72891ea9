"""The processes of one training: one, several that hold all weights each (DDP), or several that divide them (FSDP2).

`accelerate` starts them, moves what they share and keeps the trackers. Weights are divided by torch's own
`fully_shard`: accelerate divides them on GPUs alone, and what no test reaches is not trusted here.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from madi.errors import MadiError
from madi.model import device as devices
from madi.train.trainee import Trainee


class Team:
    """This process among the others. `main`: the one that writes and speaks."""

    def __init__(self, device: str, shard: bool, tracker: str | None = None, folder: Path | None = None):
        devices.hold(device)
        if os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true":
            raise MadiError(
                "FSDP of accelerate's own", "ACCELERATE_USE_FSDP", do="set train.shard in the config instead"
            )
        plain = DistributedDataParallelKwargs(gradient_as_bucket_view=True, broadcast_buffers=False)
        patient = InitProcessGroupKwargs(timeout=timedelta(days=1))  # the others wait while the main one does
        self.accelerator = Accelerator(
            cpu=device == "cpu", log_with=tracker, project_dir=folder, kwargs_handlers=[plain, patient]
        )
        self.shard = shard and self.count > 1

    @property
    def device(self) -> torch.device:
        return self.accelerator.device

    @property
    def main(self) -> bool:
        return self.accelerator.is_main_process

    @property
    def count(self) -> int:
        return self.accelerator.num_processes

    @property
    def number(self) -> int:
        return self.accelerator.process_index

    def stop(self, error: MadiError) -> BaseException:
        """What every process raises when all stop for one reason, which the main one says."""
        return error if self.main else SystemExit(error.code)

    def agree(self, value: int, what: str) -> None:
        """Errors: MadiError in all processes unless each has the same `value`; else they would go apart unseen."""
        if self.count == 1:
            return
        both = self.sum(torch.tensor([float(value), float(value) ** 2]))
        if abs(self.count * both[1] - both[0] ** 2) > 0.5:
            raise self.stop(
                MadiError(f"processes differ in {what}", "train", "the same files seen by all", "run again")
            )

    def wait(self) -> None:
        """Until all are here."""
        self.accelerator.wait_for_everyone()

    def prepared(self, trainee: Trainee) -> torch.nn.Module:
        """The trainee on this process's device, joined with the others'."""
        torch.nn.Module.to(trainee, self.device)
        if self.count == 1:
            return trainee
        if not self.shard:
            with warnings.catch_warnings(
                action="ignore", category=FutureWarning
            ):  # of a name that accelerate still uses
                return self.accelerator.prepare_model(trainee)
        mesh = init_device_mesh(self.device.type, (self.count,))
        half = torch.bfloat16 if trainee.half else None
        policy = MixedPrecisionPolicy(param_dtype=half, reduce_dtype=torch.float32, cast_forward_inputs=False)
        for block in trainee.packed.stock.layers:
            fully_shard(block, mesh=mesh, mp_policy=policy)
        return fully_shard(trainee, mesh=mesh, mp_policy=policy)

    def joining(self, model: torch.nn.Module, last: bool):
        """The context of a backward pass: gradients are joined after the last micro-batch. Divided ones always are:
        that costs a few percent in sending, and saves each process a whole gradient (15 GB at 3.8 B)."""
        if self.count == 1 or self.shard or last:
            return contextlib.nullcontext()
        return self.accelerator.no_sync(model)

    @contextlib.contextmanager
    def whole(self, model: torch.nn.Module):
        """Within the block, the parts of the model may be called without going through its forward."""
        if not isinstance(model, FSDPModule):
            yield
            return
        model.unshard()
        try:
            yield
        finally:
            model.reshard()

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, on the CPU, in float64."""
        return self.accelerator.reduce(values.double().to(self.device), "sum").cpu()
