"""Tiny random weights for tests: real OmniGen and AutoencoderKL classes, hidden width 32, two layers, built in code."""

CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 \n.,:;!?'\"()/-_<>|"
SPECIAL = ["<unk>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|end|>", "<|diffusion|>", "<img>", "</img>", "<cfg>"]


def tiny_tokenizer(pause=True):
    """Characters as tokens; id 1 begins every text, as in Llama tokenizers."""
    from tokenizers import Tokenizer, decoders, models, processors
    from transformers import PreTrainedTokenizerFast

    special = SPECIAL + ["<|pause|>"] * pause
    vocabulary = {token: i for i, token in enumerate([*special, *CHARACTERS])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", pad_token="</s>")


def tiny_transformer(seed=0, **changes):
    """Two layers of width 32. Queries and keys are scaled up, so that attention is far from uniform."""
    import torch
    from diffusers import OmniGenTransformer2DModel

    torch.manual_seed(seed)
    factors = {"short_factor": [1.0] * 8, "long_factor": [2.0] * 8}
    config = {"hidden_size": 32, "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 48}
    config |= {"num_layers": 2, "vocab_size": 128, "pad_token_id": 0, "pos_embed_max_size": 8, "time_step_dim": 32}
    model = OmniGenTransformer2DModel(**config | {"rope_scaling": factors} | changes)
    with torch.no_grad():
        for block in model.layers:
            block.self_attn.to_q.weight *= 4
            block.self_attn.to_k.weight *= 4
    return model


def tiny_vae(seed=0):
    """Downsampling 8, 4 latent channels; its posterior has no spread, so that sampling it gives its mean."""
    import torch
    from diffusers import AutoencoderKL

    torch.manual_seed(seed)
    blocks = {"down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}
    blocks |= {"block_out_channels": [4] * 4, "layers_per_block": 1, "norm_num_groups": 2}
    vae = AutoencoderKL(**blocks, mid_block_add_attention=False, latent_channels=4, sample_size=64, scaling_factor=0.5)
    with torch.no_grad():
        vae.quant_conv.weight[4:], vae.quant_conv.bias[4:] = 0.0, -30.0
    return vae
