"""Applications: each trains a prior or uses a trained one."""
