"""Export of trained networks as programs that run without this package."""
