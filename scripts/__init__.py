"""Entry points: what the command ``saformer`` is made of."""

import os
import warnings

# Torch's threads would spin while they wait for each other: beside any other process that costs many times the work.
# It is read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A design whose Verilog is in the cache is made for its ports only: Amaranth would say so amid a progress bar.
warnings.filterwarnings("ignore", message=".* created but never used", category=Warning)
