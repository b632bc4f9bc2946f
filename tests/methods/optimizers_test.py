"""Adam against hand-worked numbers and Keras's own; the learning rate schedule."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpix2pix.methods import optimizers
from tfpix2pix.networks.keras_versions import IS_KERAS_3, scale_loss, tf_variable


def _make_weights(shape):
    return keras.layers.Layer().add_weight(name="weights", shape=shape, initializer="ones")


def _take_steps(optimizer: keras.optimizers.Optimizer) -> list[np.ndarray]:
    """Returns weights, momentum and velocity after six gradients of very different sizes."""
    draws = np.random.default_rng(0)
    weights = _make_weights((50, 7))
    optimizer.build([weights])
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    for _ in range(6):
        size = 10.0 ** draws.integers(-8, 1)
        gradient = tf.constant(draws.normal(0, size, (50, 7)), tf.float32)
        optimizer.apply_gradients([(scale_loss(optimizer, gradient), weights)])
    return [tf_variable(v).numpy() for v in (weights, inner._momentums[0], inner._velocities[0])]


@pytest.mark.parametrize("loss_scaling", [False, True])
def test_fused_adam_is_keras_adam(loss_scaling):
    expected = _take_steps(keras.optimizers.Adam(2e-4, 0.5, 0.999, 1e-8))
    for values, wanted in zip(_take_steps(optimizers.build_adam(2e-4, loss_scaling)), expected, strict=True):
        # The kernel takes 1 - 0.999 in float32, which is 1.3e-5 off.
        np.testing.assert_allclose(values, wanted, rtol=2e-5, atol=1e-9)


def test_fused_adam_under_a_strategy(mirrored_strategy):
    with mirrored_strategy.scope():
        weights, adam = _make_weights((3,)), optimizers.build_adam(0.2)
        adam.build([weights])

    @tf.function
    def take_step():
        # The replicas' halves sum up to a gradient of 1.
        mirrored_strategy.run(lambda: adam.apply_gradients([(tf.fill([3], 0.5), weights)]))

    take_step()
    for replica in mirrored_strategy.experimental_local_results(tf_variable(weights)):
        np.testing.assert_allclose(replica, [0.8, 0.8, 0.8], rtol=1e-5)
    for replica in mirrored_strategy.experimental_local_results(tf_variable(adam._momentums[0])):
        np.testing.assert_allclose(replica, [0.5, 0.5, 0.5])


def test_two_updates_in_one_graph_are_two_steps_and_share_no_scalars():
    weights = [[_make_weights((3,)) for _ in range(2)] for _ in range(2)]
    together, apart = optimizers.build_adam(0.2), optimizers.build_adam(0.2)
    gradients = [tf.constant([1.0, -2.0, 3.0]), tf.constant([0.5, 0.0, -1.0])]
    for adam, variables in zip((together, apart), weights, strict=True):
        adam.build(variables)

    @tf.function
    def take_two_steps():
        for gradient in gradients:
            together.apply_gradients([(gradient, variable) for variable in weights[0]])

    take_two_steps()
    for gradient in gradients:
        apart.apply_gradients([(gradient, variable) for variable in weights[1]])
    for both, each in zip(*weights, strict=True):
        np.testing.assert_array_equal(tf_variable(both), tf_variable(each))


@pytest.mark.skipif(not IS_KERAS_3, reason="Keras 2 updates variables one by one")
def test_what_does_not_depend_on_the_variable_is_computed_once_for_all():
    weights, adam = [_make_weights((3,)) for _ in range(5)], optimizers.build_adam(0.2)
    adam.build(weights)

    @tf.function
    def take_step():
        adam.apply_gradients([(tf.ones([3]), variable) for variable in weights])

    types = [operation.type for operation in take_step.get_concrete_function().graph.get_operations()]
    assert (types.count("ResourceApplyAdam"), types.count("Pow")) == (5, 2)


def test_a_step_of_infinite_gradients_is_left_out_and_halves_the_loss_scale():
    weights, adam = _make_weights((2,)), optimizers.build_adam(loss_scaling=True)
    adam.build([weights])
    assert float(scale_loss(adam, tf.constant(1.0))) == 32768
    adam.apply_gradients([(tf.constant([np.inf, 0.0]), weights)])
    np.testing.assert_array_equal(tf_variable(weights), [1.0, 1.0])
    assert float(scale_loss(adam, tf.constant(1.0))) == 16384
    assert int(tf_variable(adam.step_counter)) == 0


def test_momenta_and_epsilon_may_be_whole_numbers_and_those_of_numpy():
    for settings in ({"beta_1": 0, "epsilon": 1}, {"beta_1": np.float64(0.0), "epsilon": np.float64(1.0)}):
        weights, adam = _make_weights((2,)), optimizers.FusedAdam(0.2, **settings)
        adam.build([weights])
        adam.apply_gradients([(tf.constant([1.0, 3.0]), weights)])
        # The first move is the rate times g / (|g| + 1), but for the bias correction of epsilon's place.
        scale = np.sqrt(1 - 0.999)
        gradients = np.array([1.0, 3.0])
        np.testing.assert_allclose(weights, 1 - 0.2 * scale * gradients / (scale * gradients + 1), rtol=1e-4)


def test_amsgrad_is_refused():
    with pytest.raises(ValueError, match="amsgrad has no fused kernel"):
        optimizers.FusedAdam(amsgrad=True)


def test_adam_adds_epsilon_before_the_bias_correction():
    # As the original Lua code and Keras do. Gradients of 1, and of 1e-8 / sqrt(1 - 0.999),
    # where epsilon halves the first move.
    weights, adam = tf.Variable([1.0, 1.0]), optimizers.build_adam(0.2)
    adam.build([weights])
    adam.apply_gradients([(tf.constant([1.0, 3.1622777e-7]), weights)])
    np.testing.assert_allclose(weights, [0.8, 0.9], rtol=1e-5)
    # Then 0 after 1: moments 0.25 and 0.000999, corrected by 0.75 and 0.001999.
    adam.apply_gradients([(tf.constant([0.0, 0.0]), weights)])
    assert float(weights[0]) == pytest.approx(0.8 - 0.2 * (0.25 / 0.75) / 0.7069299, rel=1e-5)


def test_linear_decay_halves_its_time():
    schedule = optimizers.LinearDecay(2e-4, 200)
    rates = [float(schedule(number)) for number in (0, 99, 100, 150, 199, 200, 250)]
    np.testing.assert_allclose(rates, [2e-4, 2e-4, 2e-4, 1e-4, 2e-6, 0, 0], rtol=1e-5)
    reloaded = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert float(reloaded(150)) == pytest.approx(1e-4)


def test_linear_decay_drives_the_optimizer():
    optimizer = keras.optimizers.SGD(optimizers.LinearDecay(1.0, 4))
    weight = tf.Variable(0.0)
    optimizer.build([weight])
    places = []
    for _ in range(5):
        optimizer.apply_gradients([(tf.constant(-1.0), weight)])
        places.append(float(weight))
    # Rates 1, 1, 1, 1/2, 0.
    np.testing.assert_allclose(places, [1, 2, 3, 3.5, 3.5])
