"""A random official OmniGen folder of full size (3.8 B parameters), written tensor by tensor; no model is built."""

import json
import math
import struct

import numpy as np
import official_omnigen as official

WIDTH, INNER, LAYERS, VOCABULARY, PLACES = 3072, 8192, 32, 32064, 192
CONFIG = {  # a Phi-3 mini's; rope_scaling has a factor for every other channel of a head
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "max_position_embeddings": 131072,
    "model_type": "phi3",
    "num_attention_heads": 32,
    "num_hidden_layers": LAYERS,
    "num_key_value_heads": 32,
    "original_max_position_embeddings": 4096,
    "pad_token_id": 32000,
    "rms_norm_eps": 1e-5,
    "rope_scaling": {"short_factor": [1.0] * 48, "long_factor": [2.0] * 48, "type": "longrope"},
    "rope_theta": 10000.0,
    "vocab_size": VOCABULARY,
}


def shapes():
    """Official names and shapes of all tensors."""
    mlps = {"t_embedder": 256, "time_token": 256}
    found = {"llm.embed_tokens.weight": (VOCABULARY, WIDTH), "llm.norm.weight": (WIDTH,)}
    for layer in range(LAYERS):
        stem = f"llm.layers.{layer}."
        found |= {
            stem + "self_attn.qkv_proj.weight": (3 * WIDTH, WIDTH),
            stem + "self_attn.o_proj.weight": (WIDTH,) * 2,
        }
        found |= {stem + "mlp.gate_up_proj.weight": (2 * INNER, WIDTH), stem + "mlp.down_proj.weight": (WIDTH, INNER)}
        found |= {stem + f"{name}_layernorm.weight": (WIDTH,) for name in ("input", "post_attention")}
    for name in ("x_embedder", "input_x_embedder"):
        found |= {f"{name}.proj.weight": (WIDTH, 4, 2, 2), f"{name}.proj.bias": (WIDTH,)}
    for name, inner in mlps.items():
        found |= {f"{name}.mlp.0.weight": (WIDTH, inner), f"{name}.mlp.2.weight": (WIDTH, WIDTH)}
        found |= {f"{name}.mlp.{place}.bias": (WIDTH,) for place in (0, 2)}
    found |= {"final_layer.adaLN_modulation.1.weight": (2 * WIDTH, WIDTH), "final_layer.linear.weight": (16, WIDTH)}
    found |= {"final_layer.adaLN_modulation.1.bias": (2 * WIDTH,), "final_layer.linear.bias": (16,)}
    return found | {"pos_embed": (1, PLACES**2, WIDTH)}


def write(folder):
    """Writes config, tokenizer, `model.safetensors` in bfloat16 and an SDXL-sized VAE; returns the parameter count."""
    from diffusers import AutoencoderKL

    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    official.tokenizer_files(folder, "llama2_bos")
    count = tensors(folder / "model.safetensors")
    AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        block_out_channels=[128, 256, 512, 512],
        layers_per_block=2,
        latent_channels=4,
        scaling_factor=0.13025,
    ).save_pretrained(folder / "vae")
    return count


def tensors(path):
    """Streams the tensors to a file: seeded normal numbers of deviation 0.02, ones for norms."""
    rng = np.random.default_rng(0)
    pool = (rng.standard_normal(2**24, dtype=np.float32) * 0.02).view(np.uint32) >> 16  # bfloat16 by its upper half
    pool, one = pool.astype(np.uint16), np.uint16(0x3F80)
    header, at = {}, 0
    for name, shape in shapes().items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, shape in shapes().items():
            left = math.prod(shape)
            if name.endswith("norm.weight"):
                file.write(np.full(left, one).tobytes())
                continue
            while left:
                some = min(left, len(pool) - 1024)
                start = int(rng.integers(0, len(pool) - some))
                file.write(pool[start : start + some].tobytes())
                left -= some
    return at // 2
