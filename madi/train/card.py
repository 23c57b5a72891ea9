"""The model card beside a training's weights: what they are, how they came to be, how to load them."""

from __future__ import annotations

from pathlib import Path

import yaml

from madi.config import RunSlice
from madi.shards import atomic

TEXT = """---
library_name: diffusers
pipeline_tag: image-to-image
base_model: {base}
tags: [{tags}]
---
# {name}/{run}

OmniGen fine-tuned for {steps} steps of {batch} samples{how}, by `madi train run`.

```python
from diffusers import OmniGenPipeline
pipeline = OmniGenPipeline.from_pretrained("path/to/{folder}")
```

{beside}Trained on the samples of `{name}`, {size} px. `run.json` beside this folder tells data, code, versions, machine
and hours. Not evaluated beyond the tables of that scale; the base model's licence and limits apply.

## Settings

```yaml
{settings}```
"""
MASKS = "`mask_tokens.safetensors` holds the mask tokens of training; inference does not use them.\n\n"
LORA = "The adapters alone, as peft reads them, are in `lora/` beside this folder; here they are merged.\n\n"


def write(folder: Path, job: RunSlice) -> None:
    """README.md in the weights folder; equal trainings give equal bytes."""
    run = job.settings
    how = [f"MAgD (rate {run.magd.rate:g} at noise levels from {run.magd.noise_level:g})"] if run.magd else []
    how += ["expressive prompts"] if run.expressive else []
    how += [f"weights averaged over the steps (decay {run.ema:g})"] if run.ema is not None else []
    text = TEXT.format(
        base=job.base,
        name=job.name,
        run=job.run,
        steps=run.steps,
        batch=run.batch,
        tags=", ".join(["image-editing", "omnigen", *(["magd"] if run.magd else []), *(["lora"] if run.lora else [])]),
        how=f", with {' and '.join(how)}" if how else "",
        folder=folder.name,
        beside=MASKS * (run.magd is not None and run.magd.token == "pool") + LORA * (run.lora is not None),
        size=job.size_px,
        settings=yaml.safe_dump(run.model_dump(mode="json"), sort_keys=False),
    )
    with atomic(folder / "README.md") as partial:
        partial.write_text(text, encoding="utf-8")
