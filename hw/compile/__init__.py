"""From an integer model to the program of an accelerator."""
