"""Optimisation of latents, of activations, and of the pixels of a hole."""
