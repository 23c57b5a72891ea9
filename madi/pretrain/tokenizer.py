"""The tokenizer: byte-pair pieces of scene English, the prompt's template and stock OmniGen's negative prompt.

Special tokens are stock OmniGen's, at the ids that its processor takes for granted: 0 fills image slots, 1 is the BOS
that it strips from later chunks (never made here), 2 is padding.
"""

from __future__ import annotations

from pathlib import Path

from madi.model.prompt import DROPPED, NEGATIVE, PAUSE, layout
from madi.omnigen.tokenizer import of_stock
from madi.pretrain.settings import Settings
from madi.scenes import samples, words

SPECIAL = ("<unk>", "<s>", "<|pad|>", "<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>", "<|diffusion|>")
SPECIAL += ("<img>", "</img>", "<|image_1|>", "<|image_2|>", DROPPED, PAUSE)
KINDS = ("edit", "compound", "multi", "t2i", "session")


def corpus(settings: Settings) -> list[str]:
    """Scene sentences of the base's share, each word of both registers, and many copies of what opens every prompt."""
    own, lines = settings.tokenizer, []
    for kind in KINDS:
        for item in samples.items(kind, "base", own.scenes, own.seed):
            lines += [f" {item.instruction}", f" {item.target_caption}", *(f" {step}" for step in item.plan)]
    lines += [f" {word}" for word in words.vocabulary()] * 200
    return lines + [layout(NEGATIVE, 0)] * (len(lines) // 2)


def build(settings: Settings):
    """Train it: a `PreTrainedTokenizerFast`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    printable = [chr(code) for code in range(33, 127)] + ["Ġ", "Ċ"]  # space and newline as ByteLevel writes them
    trainer = trainers.BpeTrainer(
        vocab_size=settings.tokenizer.vocabulary, special_tokens=list(SPECIAL), initial_alphabet=printable
    )
    tokenizer.train_from_iterator(corpus(settings), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        pad_token="<|pad|>",
        eos_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL[4:]),
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )


def fit(settings: Settings, out: Path) -> dict:
    """Train, save under `out`; returns the lengths that matter."""
    tokenizer = build(settings)
    of_stock(tokenizer).save_pretrained(out)
    instructions = [i.instruction for i in samples.items("edit", "validation", 200, settings.tokenizer.seed)]
    lengths = [len(tokenizer(f" {text}").input_ids) for text in instructions]
    return {
        "vocabulary": len(tokenizer),
        "negative_prompt_tokens": len(tokenizer(NEGATIVE).input_ids),
        "instruction_tokens": sum(lengths) / len(lengths),
    }
