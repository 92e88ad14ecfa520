"""Pictures of a task's results for the report."""
