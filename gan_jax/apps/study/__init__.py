"""Train several methods under several seeds and compare them."""
