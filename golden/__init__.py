"""SAFormer in PyTorch: training, quantisation, the integer model (the specification), counts and energy."""
