"""Pictures that a task draws of what its networks make."""
