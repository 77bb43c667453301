"""The Brain: dataset, model, training and generation of 4K charts."""

import os

# Numpy's matrices here are a few rows high: threads would only wait for one another, for ever on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
