"""Stage `prompts`: plans to train with, and the judges' questions."""
