"""Programs: each turns (config, workdir) into a summary."""
