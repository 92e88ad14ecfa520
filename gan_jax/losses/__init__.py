"""Objectives and penalties: pure functions, one value per example."""
