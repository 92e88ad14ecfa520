"""Optimisation over what are not weights: latents, activations, the inside of holes."""
