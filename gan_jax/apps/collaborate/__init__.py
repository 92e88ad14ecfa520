"""Refine samples or completions with the critic that trained the generator."""
