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
same call on `timm.create_model("vit_small_patch16_224.dino", pretrained=True, num_classes=0)`.

A ViT that DINO's authors published (timm's tag "dino") is shown pictures as their own evaluation and MagicBrush's
script show them: short side to 256, centre crop of 224 (crop_pct 0.875). timm publishes it with crop_pct 0.9, which
resizes to 248 and changes a cosine by up to 0.03. Any other ViT is shown pictures as its folder says.
"""

from pathlib import Path

from madi.provenance import file_sha
from madi.score import scorers
from madi.shards import read_json

TAG, CROP = "dino", 0.875  # 224 of 256


class Dino:
    """The image tower, in float32. `name`: `dino@`, the first eight digits of the weights' sha256, and how a picture
    is resized and cropped. Errors: MadiError for a folder or a device that is not there."""

    def __init__(self, folder, device="cpu"):
        import timm
        from timm.data import create_transform, resolve_model_data_config

        folder = Path(folder)
        self.device = scorers.device(device)
        with scorers.reading(folder, scorers.DINO):
            self.model = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()
            published = read_json(folder / scorers.DINO.config).get("pretrained_cfg", {})
        shown = resolve_model_data_config(self.model)
        if published.get("tag") == TAG:
            shown["crop_pct"] = CROP
        self.model.to(self.device)
        self.transform = create_transform(**shown, is_training=False)
        self.name = f"dino@{file_sha(folder / scorers.DINO.weights)[:8]} {resizing(shown)}"

    def prepare(self, image):
        """uint8 [H,W,3] -> float32 tensor [3,h,w], resized, cropped and normalised."""
        from PIL import Image

        return self.transform(Image.fromarray(image))

    def images(self, prepared):
        """List of N prepared tensors -> float32 array [N,D]: CLS tokens after the norm, rows of length 1."""
        import torch

        with torch.inference_mode(), scorers.exact():
            cls = self.model.forward_features(torch.stack(prepared).to(self.device))[:, 0].float()
            return torch.nn.functional.normalize(cls, dim=-1).cpu().numpy()


def resizing(shown: dict) -> str:
    """`resize=256-bicubic crop=224`, from a data configuration of timm's."""
    crop = shown["input_size"][-1]
    return f"resize={int(crop / shown['crop_pct'])}-{shown['interpolation']} crop={crop}"
