"""Token ids from a folder's `tokenizer.json`, by the pipeline that the file itself describes.

`transformers` rebuilds the pipeline of some classes instead of reading it (`LlamaTokenizer` since version 5 drops the
file's normalizer), so the same folder gives other ids under other versions. Here the class that a config names does not
matter: `tokenizers.Tokenizer` reads the file, and a folder that is written gets the same files back, byte for byte.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import tokenizers

from madi.errors import MadiError
from madi.progress import say

FILE, CONFIG = "tokenizer.json", "tokenizer_config.json"
FILES = (  # what may belong to a tokenizer, where its files lie among others
    FILE,
    CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
)
# Named in model_index.json: every transformers from 4 on has this class, and it takes tokenizer.json as it is.
STOCK_CLASS = "PreTrainedTokenizerFast"
PAUSE = "<|pause|>"


@dataclass
class Tokenizer:
    """The pipeline of a `tokenizer.json`, and the files that it came with.

    Called like a tokenizer of transformers, as stock OmniGen's processor does. Texts are neither padded nor truncated.
    """

    pipeline: tokenizers.Tokenizer
    files: dict[str, bytes]

    def __post_init__(self):
        self.pipeline.no_truncation()
        self.pipeline.no_padding()

    def __call__(self, text: str, **_) -> SimpleNamespace:
        """`.input_ids`: the ids of `text` (list of int), special tokens of the file's post-processor included."""
        return SimpleNamespace(input_ids=self.pipeline.encode(text).ids)

    @property
    def model_max_length(self) -> int:
        """No limit, for stock pipelines, which ask."""
        return 10**9

    def __len__(self) -> int:
        return self.pipeline.get_vocab_size()

    def get_vocab(self) -> dict[str, int]:
        return self.pipeline.get_vocab()

    def convert_tokens_to_ids(self, token: str) -> int | None:
        """The id of a token; None if the vocabulary does not have it."""
        return self.pipeline.token_to_id(token)

    def convert_ids_to_tokens(self, number: int) -> str | None:
        return self.pipeline.id_to_token(number)

    def add_pause(self) -> int:
        """Adds the pause token to the vocabulary if it is missing. Returns its id."""
        if self.pipeline.token_to_id(PAUSE) is None:
            self.pipeline.add_special_tokens([tokenizers.AddedToken(PAUSE, special=True, normalized=False)])
            number = self.pipeline.token_to_id(PAUSE)
            self.files = self.files | {FILE: with_entry(self.files[FILE].decode(), number).encode()}
        return self.pipeline.token_to_id(PAUSE)

    def save_pretrained(self, folder: Path | str) -> None:
        """Writes the files as they came, but for the pause token if it was added."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (Path(folder) / name).write_bytes(data)


def load(folder: Path | str) -> Tokenizer:
    """The tokenizer in a folder, which may hold other files too.

    Errors: MadiError if there is no `tokenizer.json`, or if it is a git-lfs pointer or cannot be read.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        do = f"write one with transformers: AutoTokenizer.from_pretrained({str(folder)!r}).save_pretrained(...)"
        raise MadiError(f"no {FILE}", folder, "the tokenizer's own file", do)
    alone = Path(folder).name == "tokenizer"
    names = sorted(file.name for file in Path(folder).iterdir() if file.is_file() and (alone or file.name in FILES))
    files = {name: (Path(folder) / name).read_bytes() for name in names if not name.startswith(".")}
    if files[FILE].startswith(b"version https://git-lfs"):
        raise MadiError("a git-lfs pointer, not the file itself", path, "a tokenizer", "run `git lfs pull` there")
    try:
        pipeline = tokenizers.Tokenizer.from_str(files[FILE].decode())
    except Exception as fault:  # the tokenizers library raises nothing narrower for a broken file
        raise MadiError(f"cannot be read ({fault})", path, "a tokenizer") from None
    made = Tokenizer(pipeline, files)
    _compare_bos(made, Path(folder) / CONFIG)
    return made


def of_stock(tokenizer) -> Tokenizer:
    """A fast tokenizer of transformers that was built in memory, with files that every version can read."""
    names = {name: getattr(tokenizer, name) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
    config = {"tokenizer_class": STOCK_CLASS, "clean_up_tokenization_spaces": False}
    config |= {"model_max_length": min(tokenizer.model_max_length, 10**9)}
    config |= {name: str(token) for name, token in names.items() if token is not None}
    pipeline = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    files = {FILE: pipeline.to_str(pretty=True), CONFIG: json.dumps(config, indent=2, sort_keys=True) + "\n"}
    return Tokenizer(pipeline, {name: text.encode() for name, text in files.items()})


def with_entry(text: str, number: int) -> str:
    """The text of a `tokenizer.json` with the pause token as the last of its added tokens, the rest unchanged."""
    wanted = json.loads(text)
    entry = {"id": number, "content": PAUSE, "single_word": False, "lstrip": False, "rstrip": False}
    entry |= {"normalized": False, "special": True}
    wanted["added_tokens"] = [*wanted.get("added_tokens", []), entry]
    for end in (place.start() for place in re.finditer(r"\}\s*\]", text)):  # the end of the list is one of these
        written = json.dumps(entry, indent=2, ensure_ascii=False).replace("\n", "\n    ")
        made = f"{text[: end + 1]},\n    {written}{text[end + 1 :]}"
        try:
            if json.loads(made) == wanted:
                return made
        except ValueError:
            continue
    return json.dumps(wanted, indent=2, ensure_ascii=False)


def _compare_bos(tokenizer: Tokenizer, config: Path) -> None:
    """Warns where tokenizer_config.json and tokenizer.json disagree about a first token: the latter counts here."""
    try:
        told = json.loads(tokenizer.files.get(CONFIG, b"{}"))
        token = told.get("bos_token")
        token = token.get("content") if isinstance(token, dict) else token
        number, claimed = tokenizer.convert_tokens_to_ids(str(token)), told.get("add_bos_token")
    except (ValueError, AttributeError) as fault:
        raise MadiError(f"not a JSON object ({fault})", config, "a tokenizer's config") from None
    if isinstance(claimed, bool) and number is not None and ([number] == tokenizer("").input_ids[:1]) != claimed:
        say(f"warning: {config}: add_bos_token is {claimed}, {FILE} does otherwise; ids are those of {FILE}")
