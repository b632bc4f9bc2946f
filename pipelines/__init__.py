"""The data layer of tfpix2pix: datasets, their preparation, and tf.data pipelines.

Nothing is imported here, so that `pipelines.catalogue` stays free of TensorFlow.
"""
