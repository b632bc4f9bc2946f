"""Keras's callbacks, and those of other projects that keep its interface, work with `Pix2Pix`."""

import inspect

import keras
import numpy as np
import pytest

from tfpix2pix.model.pix2pix import Pix2Pix
from tfpix2pix.networks import discriminators, generators
from tfpix2pix.pipelines.base.errors import UsageError
from tfpix2pix.run.callbacks import EarlyStopping

X, Y = np.random.default_rng(0).uniform(-1, 1, (2, 4, 16, 16, 3)).astype("float32")


def _compiled(rates: tuple[float, float] = (2e-4, 2e-4)) -> Pix2Pix:
    keras.utils.set_random_seed(1)
    model = Pix2Pix(
        generators.unet_generator((16, 16), depth=2, base_filters=2),
        discriminators.patch_discriminator(16, base_filters=2),
    )
    model.compile(*(keras.optimizers.Adam(rate) for rate in rates))
    return model


class _Tracker(keras.callbacks.Callback):
    """Reads what the callbacks of W&B and MLflow read of a model: its optimizer, its rate, its logs."""

    def __init__(self):
        super().__init__()
        self.seen: list[dict] = []

    def on_train_begin(self, logs=None):
        settings = self.model.optimizer.get_config()
        self.seen.append({"optimizer": settings["name"], "parameters": self.model.count_params()})

    def on_epoch_end(self, epoch, logs=None):
        rate = float(np.asarray(self.model.optimizer.learning_rate))
        self.seen.append({**logs, "rate": rate, "epoch": epoch})


@pytest.mark.slow
def test_callbacks_that_write_and_watch(tmp_path):
    model, tracker = _compiled(), _Tracker()
    checkpoint = str(tmp_path / "best.keras")
    model.fit(
        X,
        Y,
        batch_size=4,
        epochs=5,
        validation_data=(X, Y),
        verbose=0,
        callbacks=[
            keras.callbacks.ModelCheckpoint(checkpoint, monitor="val_psnr", mode="max", save_best_only=True),
            keras.callbacks.TensorBoard(str(tmp_path / "logs")),
            # No gain is ever large enough, so that it stops after the second epoch.
            keras.callbacks.EarlyStopping("val_l1", mode="min", min_delta=9.0, patience=1),
            tracker,
        ],
    )
    begin, *epochs = tracker.seen
    assert begin["optimizer"] and begin["parameters"] == model.count_params()
    assert [epoch["epoch"] for epoch in epochs] == [0, 1]
    assert {"l1_loss", "discriminator_loss", "val_l1", "val_psnr", "val_ssim", "rate"} <= set(epochs[0])
    assert all(np.isfinite(value) for epoch in epochs for value in epoch.values())
    best = keras.models.load_model(checkpoint)
    psnr = best.evaluate(X, Y, verbose=0, return_dict=True)["psnr"]
    assert psnr == pytest.approx(max(epoch["val_psnr"] for epoch in epochs), rel=1e-5)
    assert any((tmp_path / "logs" / "validation").iterdir())


def test_a_scheduler_sets_the_rates_of_both_optimizers():
    model = _compiled(rates=(2e-4, 4e-4))
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 1e-4 if epoch == 1 else rate)
    model.fit(X[:2], Y[:2], batch_size=2, epochs=2, callbacks=scheduler, verbose=0)
    rates = [
        float(np.asarray(optimizer.learning_rate))
        for optimizer in (model.generator_optimizer, model.discriminator_optimizer)
    ]
    assert rates == pytest.approx([1e-4, 2e-4])


class _SlowDown(keras.callbacks.Callback):
    """Halves the generator's rate at the end of an epoch, as `ReduceLROnPlateau` does."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.learning_rate = float(np.asarray(self.model.optimizer.learning_rate)) / 2


def test_rates_that_are_set_in_the_last_epoch_are_followed_and_saved_together(tmp_path):
    model = _compiled(rates=(2e-4, 4e-4))
    saved = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.keras"))
    for _ in range(2):
        model.fit(X[:2], Y[:2], batch_size=2, epochs=1, callbacks=[_SlowDown(), saved], verbose=0)
    for each in (model, keras.models.load_model(tmp_path / "1.keras")):
        rates = [each.generator_optimizer.learning_rate, each.discriminator_optimizer.learning_rate]
        assert np.asarray(rates) == pytest.approx([5e-5, 1e-4])


def _rates(model: Pix2Pix) -> list[float]:
    return [
        float(np.asarray(each.learning_rate))
        for each in (model.generator_optimizer, model.discriminator_optimizer)
    ]


class _WarmUp(keras.callbacks.Callback):
    """Sets the generator's rate at every batch."""

    def __init__(self):
        super().__init__()
        self.seen: list[list[float]] = []

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = 1e-4 * (batch + 1)

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(_rates(self.model))


def test_rates_that_are_set_at_every_batch_are_followed():
    model, warm_up = _compiled(rates=(1e-4, 4e-4)), _WarmUp()
    model.fit(X, Y, batch_size=2, callbacks=[warm_up], verbose=0)
    assert np.asarray(warm_up.seen) == pytest.approx(np.array([[1e-4, 4e-4], [2e-4, 8e-4]]))


def test_a_rate_that_begins_with_0_keeps_the_ratio_of_the_two():
    model = _compiled(rates=(1e-4, 4e-4))
    warm_up = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 1e-4 * epoch / 2)
    model.fit(X[:2], Y[:2], batch_size=2, epochs=3, callbacks=[warm_up], verbose=0)
    assert _rates(model) == pytest.approx([1e-4, 4e-4])


class _Beginning(keras.callbacks.Callback):
    """Sets rates as the training begins."""

    def __init__(self, *rates):
        super().__init__()
        self.rates = rates

    def on_train_begin(self, logs=None):
        optimizers = self.model.generator_optimizer, self.model.discriminator_optimizer
        for optimizer, rate in zip(optimizers, self.rates, strict=False):
            optimizer.learning_rate = rate


@pytest.mark.parametrize(
    ("rates", "expected"), [((1e-5,), [1e-5, 4e-5]), ((1e-5, 2e-5), [1e-5, 2e-5])], ids=["one", "both"]
)
def test_rates_that_are_set_as_the_training_begins(rates, expected):
    model = _compiled(rates=(1e-4, 4e-4))
    model.fit(X[:2], Y[:2], batch_size=2, callbacks=[_Beginning(*rates)], verbose=0)
    assert _rates(model) == pytest.approx(expected)


def test_a_loss_that_is_not_a_number_ends_the_training_that_asks_for_it(capsys):
    keras.utils.set_random_seed(1)
    model = _compiled()
    model.compile(keras.optimizers.SGD(1e30), keras.optimizers.SGD(1e30))
    nan = keras.callbacks.TerminateOnNaN()
    history = model.fit(X, Y, batch_size=2, epochs=4, verbose=0, callbacks=[nan])
    assert len(history.epoch) < 4
    assert "the training stops at batch" in capsys.readouterr().err


@pytest.mark.skipif(
    "raise_error" not in inspect.signature(keras.callbacks.TerminateOnNaN).parameters,
    reason="this Keras has no raise_error",
)
def test_a_loss_that_is_not_a_number_is_an_error_on_request():
    model = _compiled()
    model.compile(keras.optimizers.SGD(1e30), keras.optimizers.SGD(1e30))
    with pytest.raises(RuntimeError, match="the training stops at batch"):
        model.fit(X, Y, epochs=4, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN(raise_error=True)])


def test_callbacks_of_train_and_evaluate_are_refused():
    with pytest.raises(UsageError, match="callbacks of Keras.*Received: EarlyStopping"):
        _compiled().fit(X, Y, callbacks=[EarlyStopping(1)], verbose=0)


def test_a_list_of_keras_own_is_taken_too():
    model = _compiled(rates=(2e-4, 4e-4))
    given = keras.callbacks.CallbackList([_SlowDown()], model=model)
    for _ in range(2):
        model.fit(X[:2], Y[:2], batch_size=2, epochs=1, callbacks=given, verbose=0)
    rates = [model.generator_optimizer.learning_rate, model.discriminator_optimizer.learning_rate]
    assert np.asarray(rates) == pytest.approx([5e-5, 1e-4])


class _PowerCut(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise InterruptedError


@pytest.mark.slow
def test_backup_and_restore_goes_on_to_the_same_weights(tmp_path):
    def train(model: Pix2Pix, *others: keras.callbacks.Callback) -> Pix2Pix:
        callbacks = [keras.callbacks.BackupAndRestore(str(tmp_path / "backup")), *others]
        model.fit(X, Y, batch_size=2, epochs=2, shuffle=False, callbacks=callbacks, verbose=0)
        return model

    whole = train(_compiled())
    with pytest.raises(InterruptedError):
        train(_compiled(), _PowerCut())
    resumed = train(_compiled())
    assert int(np.asarray(resumed.steps)) == int(np.asarray(whole.steps)) == 4
    for value, expected in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-6)
