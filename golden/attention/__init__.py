"""Attention mechanisms other than SAFormer's own, a file each."""
