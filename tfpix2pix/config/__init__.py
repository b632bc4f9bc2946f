"""The settings of a run: each is a field, a flag, a check and a line of JSON. TensorFlow is not imported.

Face: `config.Config`, `config.make_config`, `options.option`.
"""
