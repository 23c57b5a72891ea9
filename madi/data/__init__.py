"""Stage `data`: samples, checked, deduplicated and free of leaks, and their latents."""
