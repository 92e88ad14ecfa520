"""Starting gan_jax elsewhere, and measuring it."""
