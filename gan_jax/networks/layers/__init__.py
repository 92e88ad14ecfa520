"""Convolutions and normalisations that are fast inside compiled loops."""
