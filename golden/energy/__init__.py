"""What an inference costs: the work it is billed for, the prices, and the conventions of billing."""
