"""Packages of the wheel: those below gan_jax, and the config files."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["gan_jax*"]), "gan_jax.configs"],
    package_dir={"gan_jax.configs": "configs"},
)
