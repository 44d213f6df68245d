"""Entry points: what the command ``saformer`` is made of."""

import os

# Torch's threads would spin while they wait for each other: beside any other process that costs many times the work.
# It is read when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
