"""Fine-tuning: masking-augmented Gaussian diffusion (MAgD) and its controls, over latents made once."""
