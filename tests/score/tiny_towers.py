"""Tiny random CLIP and ViT folders, in the very form that `madi pretrain` writes."""

import json

WORDS = ["a", "red", "green", "blue", "circle", "square", "star", "on", "the", "sky", "grass", "two", "with", "and"]


def clip_folder(folder, seed=0):
    """An `open_clip` folder of random weights; returns the folder."""
    import torch
    from open_clip.model import CLIP
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    ids = tokenizer_files(folder)
    config = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {
            "context_length": 16,
            "vocab_size": len(ids),
            "width": 32,
            "heads": 2,
            "layers": 1,
            "hf_tokenizer_name": "tokenizer",
            "pool_type": "eos",
            "eos_id": ids["</s>"],
            "pad_id": ids["<pad>"],
        },
    }
    torch.manual_seed(seed)
    model = CLIP(config["embed_dim"], config["vision_cfg"], config["text_cfg"])
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "open_clip_model.safetensors")
    preprocess = {"size": 32, "mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bicubic"}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    return folder


def tokenizer_files(folder):
    """Word-level tokenizer saved by transformers; returns its vocabulary."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate(["<pad>", "<unk>", "<s>", "</s>", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", vocabulary["<s>"]), ("</s>", vocabulary["</s>"])]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    return vocabulary


def dino_folder(folder, seed=0):
    """A `timm` folder of random weights; returns the folder."""
    import timm
    import torch

    torch.manual_seed(seed)
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 1, "num_heads": 2}
    heads = {"num_classes": 0, "global_pool": "token"}
    model = timm.create_model("vit_tiny_patch16_224", pretrained=False, **sizes, **heads)
    data = {
        "input_size": (3, 32, 32),
        "interpolation": "bicubic",
        "crop_pct": 1.0,
        "mean": (0.5,) * 3,
        "std": (0.25,) * 3,
    }
    timm.models.save_for_hf(model, folder, model_args={**sizes, **heads}, data_config=data, safe_serialization=True)
    return folder
