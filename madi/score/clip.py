"""CLIP from a local folder, read with `open_clip`: image and text embeddings of unit length.

The folder, exactly (`open_clip`'s own `local-dir:` form; what `madi pretrain clip` writes and what is shipped in
`assets/tiny/clip`):

    open_clip_config.json         {"model_cfg": {...}, "preprocess_cfg": {...}}; both keys, `model_cfg` is required
    open_clip_model.safetensors   the state dict of the model `model_cfg` builds (never a pickle)
    tokenizer.json                a `tokenizers` file; its post-processor adds the start and end tokens itself
    tokenizer_config.json         names "tokenizer_class": "PreTrainedTokenizerFast", and "pad_token", "eos_token", ...
    provenance.json               optional, not read here

`model_cfg` for a small model, with the keys that matter:

    {"embed_dim": 128,
     "vision_cfg": {"image_size": 64, "layers": 4, "width": 128, "head_width": 32, "patch_size": 8},
     "text_cfg": {"context_length": 48, "vocab_size": 512, "width": 128, "heads": 4, "layers": 3,
                  "hf_tokenizer_name": "tokenizer", "pool_type": "eos", "eos_id": 3, "pad_id": 0}}

`hf_tokenizer_name` must be there and not empty, whatever it says: with it `open_clip` reads the tokenizer of this very
folder, without it the 49,408-word BPE of OpenAI's CLIP. `pool_type: eos` with the tokenizer's own `eos_id` takes the
embedding at the end token; OpenAI's `argmax` takes it at the largest id, so there the end token must have the last id.
`PreTrainedTokenizerFast(...).save_pretrained(folder)` writes both tokenizer files.

`preprocess_cfg`: {"size": 64, "mean": [3 numbers], "std": [3 numbers], "interpolation": "bicubic",
"resize_mode": "shortest"}: the stock transform (resize the short side, centre crop, normalise). Each picture goes
through it at its own size; nothing is resized before.
A model of OpenAI's own names is the same folder with its own configuration, without `hf_tokenizer_name`.
"""

from pathlib import Path

from madi.errors import MadiError
from madi.provenance import file_sha
from madi.score import scorers
from madi.shards import read_json


class Clip:
    """Image and text towers, in float32. `name`: `clip@`, the first eight digits of the weights' sha256, and how a
    picture is resized and cropped. squash: to a square, as InstructPix2Pix's script does, instead of as the folder
    says. Errors: MadiError for a folder or a device that is not there."""

    def __init__(self, folder, device="cpu", squash=False):
        import open_clip

        folder = Path(folder)
        source = f"local-dir:{folder}"
        self.device = scorers.device(device)
        with scorers.reading(folder, scorers.CLIP):
            options = tokenizer_options(folder)
            self.model, self.transform = open_clip.create_model_from_pretrained(source, precision="fp32")
            self.tokens = open_clip.get_tokenizer(source, **options)
        self.model.to(self.device).eval()
        shown = self.model.visual.preprocess_cfg
        if squash:
            self.transform = squashed(shown)
            shown = shown | {"interpolation": "bicubic", "resize_mode": "squash"}
        self.name = f"clip@{file_sha(folder / scorers.CLIP.weights)[:8]} {resizing(shown)}"

    def prepare(self, image):
        """uint8 [H,W,3] -> float32 tensor [3,h,w], resized and normalised as the folder says."""
        from PIL import Image

        return self.transform(Image.fromarray(image))

    def images(self, prepared):
        """List of N prepared tensors -> float32 array [N,D], rows of length 1."""
        import torch

        with torch.inference_mode(), scorers.exact():
            rows = self.model.encode_image(torch.stack(prepared).to(self.device), normalize=True)
            return rows.float().cpu().numpy()

    def texts(self, captions):
        """List of N strings -> float32 array [N,D], rows of length 1; longer captions are cut at the context length."""
        import torch

        with torch.inference_mode(), scorers.exact():
            rows = self.model.encode_text(self.tokens(list(captions)).to(self.device), normalize=True)
            return rows.float().cpu().numpy()


def tokenizer_options(folder: Path) -> dict:
    """What `open_clip.get_tokenizer` is given beside the folder: never code that lies in it.

    Errors: MadiError for a text tower that the folder itself does not hold."""
    text = read_json(folder / scorers.CLIP.config)["model_cfg"]["text_cfg"]
    if "hf_model_name" in text:
        what = f"its text tower is {text['hf_model_name']} of a hub"
        raise MadiError(what, folder / scorers.CLIP.config, "a CLIP that open_clip builds from this folder alone")
    return {"trust_remote_code": False} if text.get("hf_tokenizer_name") else {}


def squashed(preprocess: dict):
    """InstructPix2Pix's transform: bicubic to a square, neither cropped nor smoothed, then normalised."""
    from torch.nn.functional import interpolate
    from torchvision.transforms.functional import normalize, to_tensor

    def transform(image):
        sides = (side_of(preprocess),) * 2
        pixels = interpolate(to_tensor(image)[None], sides, mode="bicubic", align_corners=False)[0]
        return normalize(pixels, preprocess["mean"], preprocess["std"])

    return transform


def side_of(preprocess: dict) -> int:
    """The side in px of what the tower sees."""
    size = preprocess["size"]
    return size[0] if isinstance(size, (list, tuple)) else size


def resizing(preprocess: dict) -> str:
    """`resize=224-bicubic crop=224`: how a picture becomes what the tower sees."""
    side, how = side_of(preprocess), preprocess.get("interpolation", "bicubic")
    mode = preprocess.get("resize_mode") or "shortest"
    return f"resize={side}-{how} crop={side}" if mode == "shortest" else f"resize={side}-{how}-{mode}"
