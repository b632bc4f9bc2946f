"""Keras's callbacks, and those of other projects that keep its interface, work with `Pix2Pix`."""

import keras
import numpy as np
import pytest

from tfpix2pix.model.pix2pix import Pix2Pix
from tfpix2pix.networks import discriminators, generators

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
