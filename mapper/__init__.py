"""The Brain: dataset, model, training and generation of 4K charts."""
