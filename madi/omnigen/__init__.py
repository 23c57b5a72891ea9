"""OmniGen: how its folders are read and its prompts are made. So far the tokenizer; the rest is in `madi.model`."""
