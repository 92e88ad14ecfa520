"""Measures of fields: maps of a property or of the facies of the ground."""
