"""Configs: keys with defaults and bounds, variants, flags, errors."""
