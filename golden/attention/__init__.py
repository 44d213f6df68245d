"""Spiking attention mechanisms other than SAFormer's own, a file each."""
