"""Scoring of the user's images: their labels, their scores, and maps of anomalies."""
