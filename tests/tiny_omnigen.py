"""A stock OmniGenPipeline folder of tiny random weights."""


def weights_folder(folder, seed=0):
    """Writes the folder and returns it: 2 blocks of width 48, a VAE of factor 8, a word-level tokenizer."""
    import torch
    from diffusers import AutoencoderKL, OmniGenTransformer2DModel

    from madi.model.checkpoint import Weights, save
    from madi.model.codec import Codec
    from madi.model.packed import Packed
    from madi.model.prompt import Tokens

    torch.manual_seed(seed)
    words = tokenizer()
    stock = OmniGenTransformer2DModel(
        in_channels=4,
        hidden_size=48,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=64,
        num_layers=2,
        pad_token_id=0,
        vocab_size=len(words),
        max_position_embeddings=512,
        original_max_position_embeddings=512,
        rope_scaling={"long_factor": [1.0] * 12, "short_factor": [1.0] * 12},
        pos_embed_max_size=8,
        time_step_dim=16,
    )
    with torch.no_grad():  # a fresh model's last layers are zero: all edits would be alike
        for parameter in stock.parameters():
            parameter.normal_(0, 0.08)
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        latent_channels=4,
    )
    save(folder, Weights(Packed(stock), Tokens(words), Codec(vae)))
    return folder


def tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = [
        "<pad>",
        "<s>",
        "<unk>",
        "<|user|>",
        "<|end|>",
        "<|assistant|>",
        "<|diffusion|>",
        "<|pause|>",
        "<img>",
        "</img>",
    ]
    vocabulary = {word: number for number, word in enumerate([*special, "edit", "0", "1", "2", "3"])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", pad_token="<pad>", additional_special_tokens=special[3:]
    )
