"""Oracles in NumPy or plain TensorFlow, and numbers from the PyTorch reference."""
