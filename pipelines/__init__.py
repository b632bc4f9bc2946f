"""The data layer of tfpix2pix: datasets, their preparation, and tf.data pipelines.

Nothing is imported here, so that the catalogue stays free of TensorFlow.

Face: `datasets.open_split`, `batches.build_dataset`, `catalogue.find_dataset`.
"""
