"""How many tensors a graph adds in one place."""

from collections.abc import Callable

import tensorflow as tf


def most_addends(function: Callable, batch: dict[str, tf.Tensor]) -> int:
    """Returns the number of addends of the longest sum in the graph of a function of a batch.

    TensorFlow's CPU sum of three or more adds in an order that depends on timing.
    """
    traced = tf.function(function).get_concrete_function(batch).graph.as_graph_def()
    nodes = [*traced.node, *(node for each in traced.library.function for node in each.node_def)]
    return max(sum(name[0] != "^" for name in node.input) for node in nodes if node.op == "AddN")
