"""Losses: objectives, penalties and distances, as pure functions of arrays."""
