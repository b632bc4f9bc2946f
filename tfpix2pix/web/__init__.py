"""Pages served to a browser: the demo and the real-vs-fake study, and what they stand on."""
