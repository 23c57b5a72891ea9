"""A self-supervised ViT in DINO's place, from a local folder, read with `timm`: the CLS token after the last norm.

The folder, exactly (`timm`'s own `local-dir:` form; what `madi pretrain vit` writes and what is shipped in
`assets/tiny/dino`):

    config.json         {"architecture": ..., "num_classes": 0, "num_features": D, "global_pool": "token",
                         "model_args": {...}, "pretrained_cfg": {...}}
    model.safetensors   the state dict of that model (never a pickle)
    provenance.json     optional, not read here

For a small model, with the keys that matter (`architecture` is any registered ViT; `model_args` overrides its sizes):

    {"architecture": "vit_tiny_patch16_224", "num_classes": 0, "num_features": 96, "global_pool": "token",
     "model_args": {"img_size": 64, "patch_size": 8, "embed_dim": 96, "depth": 6, "num_heads": 3,
                    "num_classes": 0, "global_pool": "token"},
     "pretrained_cfg": {"input_size": [3, 64, 64], "fixed_input_size": true, "interpolation": "bicubic",
                        "crop_pct": 1.0, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
                        "num_classes": 0, "first_conv": "patch_embed.proj", "classifier": "head"}}

`timm.models.save_for_hf(model, folder, model_args=..., safe_serialization=True)` writes both files, and so does the
same call on `timm.create_model("vit_small_patch16_224.dino", pretrained=True, num_classes=0)` for the paper's own ViT
(crop_pct 0.875 is DINO's 256 -> 224 centre crop).
"""

from pathlib import Path

from madi.provenance import file_sha
from madi.score import scorers


class Dino:
    """The image tower. `name` is `dino@` and the first eight digits of the weights' sha256."""

    def __init__(self, folder):
        import timm
        from timm.data import create_transform, resolve_model_data_config

        folder = Path(folder)
        with scorers.reading(folder, scorers.DINO):
            self.model = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()
        self.transform = create_transform(**resolve_model_data_config(self.model), is_training=False)
        self.name = f"dino@{file_sha(folder / scorers.DINO.weights)[:8]}"

    def prepare(self, image):
        """uint8 [H,W,3] -> float32 tensor [3,h,w], resized and normalised as the folder says."""
        from PIL import Image

        return self.transform(Image.fromarray(image))

    def images(self, prepared):
        """List of N prepared tensors -> float32 array [N,D]: CLS tokens after the norm, rows of length 1."""
        import torch

        with torch.inference_mode():
            cls = self.model.forward_features(torch.stack(prepared))[:, 0].float()
            return torch.nn.functional.normalize(cls, dim=-1).numpy()
