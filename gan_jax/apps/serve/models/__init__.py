"""Trained runs behind the page, one module for each kind."""
