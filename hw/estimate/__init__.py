"""What an inference costs, without a simulation."""
