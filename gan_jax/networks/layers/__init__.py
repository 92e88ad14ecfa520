"""Layers of the networks: convolutions that are fast on any device, normalisation."""
