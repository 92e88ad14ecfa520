"""Apply a trained run to a folder of any size, on this machine or with Ray."""
