"""A vision-language model of a real class, tiny, with bytes for tokens, taught by heart to give one answer."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    MistralConfig,
    PreTrainedTokenizerFast,
)

TEMPLATE = (
    "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}"
    "{% endif %}{% endfor %}{% endfor %}{% if add_generation_prompt %}<go>{% endif %}"
)


def tokenizer() -> PreTrainedTokenizerFast:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<pad>", "<end>", "<image>", "<go>", *letters]
    made = Tokenizer(models.BPE({name: n for n, name in enumerate(names)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    special = {"additional_special_tokens": ["<image>", "<go>"]}
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="<end>", **special)


def save(folder, answer: str) -> None:
    """Write the model and its processor to `folder`; it says `answer` whatever it is asked."""
    torch.manual_seed(0)
    words = tokenizer()
    eye = CLIPVisionConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2)
    eye.image_size, eye.patch_size = 16, 8
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 3}
    # With a window this short, what is learnt after short texts holds after long ones.
    mouth = MistralConfig(vocab_size=len(words), sliding_window=24, num_key_value_heads=4, **size, **ids)
    config = LlavaConfig(vision_config=eye, text_config=mouth, image_token_index=2, image_seq_length=4)
    config.eos_token_id, config.pad_token_id = 1, 0
    model = LlavaForConditionalGeneration(config)
    images = CLIPImageProcessor(size={"height": 16, "width": 16}, crop_size={"height": 16, "width": 16})
    processor = LlavaProcessor(images, words, patch_size=8, vision_feature_select_strategy="default")
    processor.num_additional_image_tokens, processor.chat_template = 1, TEMPLATE
    text = torch.tensor([words(Path(__file__).read_text())["input_ids"]])
    teach(model, torch.tensor([[3, *words(answer)["input_ids"], 1]]), text)
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = 1, 0
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def teach(model, said: torch.Tensor, text: torch.Tensor) -> None:
    """Make the answer follow its first token by heart, wherever it stands: after some stretch of a text."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(200):
        length = int(60 * torch.rand(()))
        starts = (1000 * torch.rand(8)).int().tolist()
        before = torch.cat([text[:, start : start + length] for start in starts])
        ids = torch.cat([before, said.expand(8, -1)], dim=1)
        labels = torch.cat([torch.full_like(before, -100), said.expand(8, -1)], dim=1)
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
