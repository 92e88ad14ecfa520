"""Generators and critics in flax.linen, and the layers they are made of."""
