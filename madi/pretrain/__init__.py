"""Trains the small weights that are shipped in `assets/tiny`: tokenizer, VAE, base, CLIP and ViT."""
