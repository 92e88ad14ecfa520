"""Where a name in a config becomes networks, a method, or a search."""
