"""Optimisation of latents, activations and pixels; weights stay as they are."""
