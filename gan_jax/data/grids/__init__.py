"""Geostatistical grids and points: units, geometry, files."""
