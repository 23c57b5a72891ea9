"""madi: masking-augmented diffusion with inference-time scaling for visual editing."""
