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
"resize_mode": "shortest"}: the stock transform (resize the short side, centre crop, normalise), the same for source,
edit and target.
A model of OpenAI's own names is the same folder with its own configuration, without `hf_tokenizer_name`.
"""

from pathlib import Path

from madi.provenance import file_sha
from madi.score import scorers


class Clip:
    """Image and text towers. `name` is `clip@` and the first eight digits of the weights' sha256."""

    def __init__(self, folder):
        import open_clip

        folder = Path(folder)
        source = f"local-dir:{folder}"
        with scorers.reading(folder, scorers.CLIP):
            self.model, self.transform = open_clip.create_model_from_pretrained(source, precision="fp32")
            self.tokens = open_clip.get_tokenizer(source)
        self.model.eval()
        self.name = f"clip@{file_sha(folder / scorers.CLIP.weights)[:8]}"

    def prepare(self, image):
        """uint8 [H,W,3] -> float32 tensor [3,h,w], resized and normalised as the folder says."""
        from PIL import Image

        return self.transform(Image.fromarray(image))

    def images(self, prepared):
        """List of N prepared tensors -> float32 array [N,D], rows of length 1."""
        import torch

        with torch.inference_mode():
            return self.model.encode_image(torch.stack(prepared), normalize=True).float().numpy()

    def texts(self, captions):
        """List of N strings -> float32 array [N,D], rows of length 1; longer captions are cut at the context length."""
        import torch

        with torch.inference_mode():
            return self.model.encode_text(self.tokens(list(captions)), normalize=True).float().numpy()
