"""Configs: keys with default, limits and meaning; variants; flags; errors."""
