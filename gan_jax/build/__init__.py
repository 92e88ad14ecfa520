"""Explicit tables, from the names in a config to networks, methods, searches."""
