"""Tiny random folders as the official OmniGen repository publishes them: tensor names, tokenizer files, layout.

The tokenizers are of the kinds that OmniGen folders come with: Llama-2's pipeline with Phi-3's special tokens (the
published one), and a byte-level one. Vocabularies are written out, not trained, so that ids never move.
"""

import json

SENTENCE = "Generate an image according to the following instructions make it red blue and low quality"
WORDS = SENTENCE.split()
OMNIGEN = ["<img>", "</img>", "<|diffusion|>", "<cfg>"]
PHI3 = ["<|endoftext|>", "<|assistant|>", "<|placeholder1|>", "<|system|>", "<|end|>", "<|user|>"]
BACK = {  # diffusers' names to the official repository's, as its conversion is documented
    "embed_tokens.": "llm.embed_tokens.",
    "norm.": "llm.norm.",
    "layers.": "llm.layers.",
    "patch_embedding.pos_embed": "pos_embed",
    "patch_embedding.output_image_proj.": "x_embedder.proj.",
    "patch_embedding.input_image_proj.": "input_x_embedder.proj.",
    "time_token.linear_1.": "time_token.mlp.0.",
    "time_token.linear_2.": "time_token.mlp.2.",
    "t_embedder.linear_1.": "t_embedder.mlp.0.",
    "t_embedder.linear_2.": "t_embedder.mlp.2.",
    "norm_out.linear.": "final_layer.adaLN_modulation.1.",
    "proj_out.": "final_layer.linear.",
}
KINDS = ["llama2_bos", "llama2", "byte_level"]


def _merges(words):
    """Merges that build each word from its left end, and all pieces on the way."""
    merges, pieces = [], []
    for word in words:
        for end in range(2, len(word) + 1):
            pair = (word[: end - 1], word[end - 1])
            if pair not in merges:
                merges.append(pair)
                pieces.append(word[:end])
    return merges, pieces


def pipeline(kind, pause=False):
    """A `tokenizers.Tokenizer`. With `llama2_bos`, `<s>` (id 1) begins every text."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    if kind == "byte_level":
        merges, pieces = _merges(["Ġ" + word for word in WORDS])
        vocabulary = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *pieces]
        made = Tokenizer(models.BPE({v: i for i, v in enumerate(vocabulary)}, merges))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        made.post_processor = processors.ByteLevel(trim_offsets=False)
    else:
        merges, pieces = _merges(["▁" + word for word in WORDS])
        letters = [chr(code) for code in range(33, 127)] + ["▁", "é", "ß"]
        vocabulary = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *letters, *pieces]
        model = models.BPE(
            {v: i for i, v in enumerate(vocabulary)}, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True
        )
        made = Tokenizer(model)
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
        made.add_special_tokens([AddedToken(token, normalized=False) for token in ("<unk>", "<s>", "</s>")])
        begin = "<s> " * (kind == "llama2_bos")
        made.post_processor = processors.TemplateProcessing(single=f"{begin}$A", special_tokens=[("<s>", 1)])
    made.add_special_tokens([AddedToken(PHI3[0], normalized=False)])
    made.add_special_tokens([AddedToken(token, rstrip=True, normalized=False) for token in PHI3[1:]])
    made.add_special_tokens([AddedToken(token, normalized=False) for token in OMNIGEN + ["<|pause|>"] * pause])
    return made


def tokenizer_files(folder, kind, pause=False):
    """Writes the files of a published tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    made = pipeline(kind, pause)
    made.save(str(folder / "tokenizer.json"))
    config = {
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|endoftext|>",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>" if kind == "byte_level" else "<unk>",
        "tokenizer_class": "GPT2Tokenizer" if kind == "byte_level" else "LlamaTokenizer",
    }
    if kind != "byte_level":
        config |= {"add_bos_token": kind == "llama2_bos", "add_eos_token": False, "bos_token": "<s>", "legacy": False}
        config |= {"padding_side": "left", "sp_model_kwargs": {}, "use_default_system_prompt": False}
        (folder / "tokenizer.model").write_bytes(b"not read, but part of what is published")
    special = {name: config[name] for name in ("eos_token", "pad_token", "unk_token")}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(special | {"additional_special_tokens": OMNIGEN}))


def state(stock):
    """The official names of a stock transformer's tensors: queries, keys and values in one matrix."""
    import torch

    out = {}
    for name, value in stock.state_dict().items():
        old = next(theirs + name[len(ours) :] for ours, theirs in BACK.items() if name.startswith(ours))
        out[old.replace("self_attn.to_out.0.", "self_attn.o_proj.")] = value.contiguous()
    for name in [name for name in out if name.endswith("to_q.weight")]:
        stem = name.removesuffix("to_q.weight")
        out[f"{stem}qkv_proj.weight"] = torch.cat([out.pop(f"{stem}to_{to}.weight") for to in "qkv"])
    return out


def config(stock):
    """The Phi-3 config that stands beside official weights."""
    theirs = {"num_layers": "num_hidden_layers", "rope_base": "rope_theta"}
    own = {theirs.get(name, name): value for name, value in stock.config.items() if not name.startswith("_")}
    for name in ("in_channels", "patch_size", "pos_embed_max_size", "time_step_dim"):
        own.pop(name)
    return own | {"rope_scaling": {**own["rope_scaling"], "type": "longrope"}, "model_type": "phi3"}


def folder(path, kind="llama2_bos", dtype=None, vae=True, pause=False, seed=0, **changes):
    """Writes an official folder and returns it: `model.safetensors` and the tokenizer at its root, the VAE in `vae`."""
    import torch
    from safetensors.torch import save_file
    from tiny_classes import tiny_transformer, tiny_vae

    stock = tiny_transformer(seed, **{"vocab_size": 600} | changes)
    path.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.to(dtype or torch.float32) for name, value in state(stock).items()}
    save_file(tensors, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(config(stock), indent=2))
    tokenizer_files(path, kind, pause)
    if vae:
        tiny_vae(seed).save_pretrained(path / "vae")
    return path


def wave(shape, seed, scale=1.0):
    """Numbers that need no generator, so that they are the same under every version of every library."""
    import math

    import torch

    places = torch.arange(math.prod(shape), dtype=torch.float64)
    return (scale * torch.sin(places * (1.7 + 0.37 * seed) + 0.61 * seed)).reshape(shape).float()


def steady(path, kind):
    """An official folder whose weights are waves, for values that were measured with the official classes."""
    from safetensors.torch import load_file, save_file

    made = folder(path, kind, pause=True, time_step_dim=256, pos_embed_max_size=192)
    out = {}
    for seed, (name, value) in enumerate(sorted(load_file(made / "model.safetensors").items())):
        norm, fan = name.endswith("norm.weight"), value[0].numel() if value.ndim > 1 else 1
        drawn = 1 + wave(value.shape, seed, 0.1) if norm else wave(value.shape, seed, fan**-0.5)
        out[name] = value if name == "pos_embed" else drawn
    save_file(out, made / "model.safetensors")
    return made
