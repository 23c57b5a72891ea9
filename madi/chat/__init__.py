"""Asking a multimodal language model (MLLM): questions with pictures, answers in a schema, nothing asked or paid twice.

`ask` says what a question and an answer are; `cache` keeps answers; `endpoint`, `local` and `told` are who may be
asked; `run` asks many, some at once, within a budget. No text that was read anywhere gives orders here: `ask.fenced`.
"""
