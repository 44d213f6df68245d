"""From currents to spikes and the residual stream."""
