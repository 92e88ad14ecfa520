"""Generate images under the user's own known values."""
