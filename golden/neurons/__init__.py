"""Spiking neurons: their formulas, exact on integers, and as a module for training."""
