"""Complete images by latent search under a trained prior."""
