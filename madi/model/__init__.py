"""OmniGen as one packed stream: prompts, attention, sampling, pixels to latents and back, folders on disk."""
