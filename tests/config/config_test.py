import dataclasses
import json
from pathlib import Path

import pytest

from tfpix2pix.config import config as configs
from tfpix2pix.config.config import FIELDS, define_flags, make_config
from tfpix2pix.config.run_config import RunConfig
from tfpix2pix.metrics.fcn import config as fcn
from tfpix2pix.pipelines.base.command_line import new_flags
from tfpix2pix.pipelines.base.errors import UsageError


def test_facades_alone_is_the_papers_experiment():
    config = make_config(dataset="facades")
    assert (config.direction, config.epochs, config.batch_size) == ("BtoA", 200, 1)
    assert (config.image_size, config.load_size) == ((256, 256), (286, 286))
    assert (config.jitter, config.mirror) == (True, True)
    assert (config.objective, config.lambda_l1, config.learning_rate) == ("l1+cgan", 100.0, 2e-4)
    assert (config.generator, config.receptive_field, config.normalization) == ("unet", 70, "batch")


def test_given_values_win_over_the_recipe_and_the_recipe_over_the_defaults():
    recipe = make_config(dataset="edges2shoes")
    assert (recipe.epochs, recipe.batch_size, recipe.jitter, recipe.mirror) == (15, 4, False, False)
    given = make_config(dataset="edges2shoes", epochs=3, mirror=True, direction="BtoA", batch_size=None)
    assert (given.epochs, given.mirror, given.direction, given.batch_size) == (3, True, "BtoA", 4)


def test_a_preset_wins_over_the_defaults_and_given_values_win_over_it(tmp_path):
    def settle(**given) -> tuple[float, float, str]:
        config = make_config(preset="fast", **given)
        return config.ema_decay, config.lambda_feature_matching, config.input_encoding

    of_labels, of_photos = (0.999, 10, "one_hot"), (0.999, 10, "picture")
    given = {"ema_decay": 0.9, "lambda_feature_matching": 2, "input_encoding": "picture"}
    assert settle(dataset="facades") == of_labels
    assert settle(dataset="facades", **given) == tuple(given.values())
    # Photos have no classes; neither have label maps without a palette.
    assert settle(dataset="facades", direction="AtoB") == settle(dataset="maps") == of_photos
    for data_dir in (tmp_path, tmp_path / "mine"):
        assert settle(dataset="mine", data_dir=str(data_dir)) == of_photos
    (tmp_path / "palette.json").write_text("{}")
    assert settle(dataset="mine", data_dir=str(tmp_path)) == of_labels
    assert settle(pairs=str(tmp_path / "pairs.csv")) == of_labels
    assert settle(dataset="mine", data_dir=str(tmp_path), input_channels=1) == of_photos
    assert settle(dataset="facades", task="colorize") == of_photos
    assert make_config(dataset="facades", preset="recipe") == make_config(dataset="facades")
    for method in ("pix2pixhd", "bicyclegan"):
        with pytest.raises(UsageError, match=f"`preset=fast` is for `method=pix2pix`.*`method={method}`"):
            settle(dataset="facades", method=method)


def test_a_set_that_is_not_in_the_catalogue_gets_the_facades_recipe():
    config = make_config(dataset="my_name")
    assert (config.direction, config.epochs, config.batch_size, config.jitter) == ("AtoB", 200, 1, True)


@pytest.mark.parametrize(
    "value, expected",
    [
        ("256", (256, 256)),
        (64, (64, 64)),
        ("256x512", (256, 512)),
        ((32, 64), (32, 64)),
        ([32, 64], (32, 64)),
    ],
)
def test_sizes(value, expected):
    assert make_config(dataset="facades", image_size=value).image_size == expected


def test_the_load_size_follows_the_image_size_unless_given():
    assert make_config(image_size="128x256").load_size == (143, 286)
    assert make_config(image_size=128, load_size=130).load_size == (130, 130)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"image_size": "0x64"}, "`image_size` takes N or HxW"),
        ({"image_size": "64x"}, "`image_size` takes N or HxW"),
        ({"image_size": "6 4"}, "`image_size` takes N or HxW"),
        ({"image_size": 16}, "`image_size` must be at least 32 px"),
        ({"seed": 2**32}, "`seed` must be below 2**32"),
        ({"image_size": 64, "depth": 7}, "`depth` must be at most 6 for this `image_size`"),
        (
            {"image_size": 32, "generator": "global", "depth": 5},
            "`image_size` must be above 32 px on each side",
        ),
        (
            {"image_size": (70, 64), "generator": "enhancer", "enhancers": 2},
            "must be above 64 px on each side with `generator=enhancer`, `depth=4` and `enhancers=2`",
        ),
        ({"lambda_l1": float("inf")}, "`lambda_l1` must be finite"),
        ({"steps": "3"}, "`steps` must be of type int. Received: '3'"),
        ({"image_size": 95, "receptive_field": 286}, "`image_size` must be at least 96 px"),
        ({"image_size": 47, "receptive_field": 142}, "`image_size` must be at least 48 px"),
        ({"image_size": 191, "receptive_field": 574}, "`image_size` must be at least 192 px"),
        ({"image_size": 64, "load_size": 63}, "`load_size` must not be smaller than `image_size`, 64x64"),
        ({"load_size": 300, "jitter": False}, "`load_size` has no effect without `jitter`"),
        ({"load_size": 300, "resize": "none"}, "`load_size` has no effect with `resize=none`"),
        ({"task": "inpaint", "resize": "none"}, "`resize=none` is not for `task=inpaint`"),
        (
            {"receptive_field": 71},
            "`receptive_field` must be one of 1, 16, 34, 70, 142, 286, 574. Received: 71",
        ),
        ({"objective": "wgan"}, "`objective` must be one of l1, gan, cgan, l1+gan, l1+cgan. Received: wgan"),
        ({"steps": 0}, "`steps` must be at least 1. Received: 0"),
        ({"learning_rate": -1.0}, "`learning_rate` must be at least 0. Received: -1.0"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be finite. Received: nan"),
        ({"depth": 1}, "`depth` must be at least 2. Received: 1"),
        ({"profile_steps": "9:3"}, "`profile_steps` takes A:B with A < B"),
        ({"dataset": "../facades"}, "`dataset` is a name, not a path"),
        ({"dataset": "colorization", "task": "pairs"}, "`dataset=colorization` is a set of single photos"),
        ({"task": "segment"}, "`task` must be one of pairs, colorize, inpaint, edges. Received: segment"),
        ({"task": "edges", "direction": "BtoA"}, "`direction` is for pairs, and `task=edges` learns from"),
        ({"hole": "random"}, "`hole` is for `task=inpaint`. Received: `task=pairs`"),
        ({"task": "inpaint", "hole": "left"}, "`hole` must be one of center, random. Received: left"),
        ({"task": "colorize", "output_channels": 3}, "`task=colorize` has 1 input and 2 output channels"),
        ({"input_channels": 0}, "`input_channels` must be at least 1. Received: 0"),
        ({"upsampling": "cubic"}, "`upsampling` must be one of transposed, nearest, bilinear"),
        ({"generator": "resnet"}, "global, enhancer. Received: resnet; did you mean unet?"),
        (
            {"discriminator": "pixel"},
            "`discriminator` must be one of patch, multiscale, pyramid. Received: pixel",
        ),
        ({"batchsize": 4}, "no such setting: batchsize"),
    ],
)
def test_what_cannot_work_is_refused_by_name(settings, message):
    with pytest.raises(UsageError) as caught:
        make_config(**settings)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1. Received: 0"),
        ({"image_size": 512}, "`image_size` must be of type tuple. Received: 512"),
        ({"image_size": (512, 512)}, "`load_size` must not be smaller than `image_size`, 512x512"),
        ({"norm_backend": "addons"}, "`norm_backend=addons` is for `normalization=instance`"),
    ],
)
def test_a_configuration_that_was_changed_is_checked_too(settings, message):
    for config in (make_config(), fcn.make_config()):
        if set(settings) <= set(vars(config)):
            with pytest.raises(UsageError) as caught:
                dataclasses.replace(config, **settings)
            assert message in str(caught.value)
    assert dataclasses.replace(make_config(), batch_size=4).batch_size == 4


def test_the_image_size_is_enough_for_the_discriminator():
    assert make_config(image_size=96, receptive_field=286).receptive_field == 286
    assert make_config(image_size=32, receptive_field=286, objective="l1").objective == "l1"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dataset": "edges2shoes"},
        {"jitter": False},
        {"dataset": "inpainting", "hole": "random"},
        {"input_channels": 7, "output_channels": 1, "upsampling": "bilinear"},
        {"steps": 7, "image_size": "64x128", "lr_schedule": "linear_decay", "mirror": False},
    ],
)
def test_json_round_trip(settings):
    config = make_config(**settings)
    assert configs.from_json(config.to_json()) == config
    assert set(json.loads(config.to_json())) == set(FIELDS)


def test_a_run_of_an_older_version_goes_on():
    saved = json.loads(make_config(dataset="facades", lambda_l1=10.0).to_json())
    for name in ("task", "hole", "input_channels", "output_channels", "upsampling", "discriminator"):
        del saved[name]
    now = make_config(dataset="facades", lambda_l1=10.0)
    assert now.discriminator == "patch"
    configs.check_resumable(configs.from_json(json.dumps(saved)), now, Path("runs/facades"))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"dataset": "colorization"}, ("colorize", 1, 2, "AtoB")),
        ({"dataset": "inpainting"}, ("inpaint", 3, 3, "AtoB")),
        # Random holes come with their mask.
        ({"dataset": "inpainting", "hole": "random"}, ("inpaint", 4, 3, "AtoB")),
        ({"dataset": "synthetic", "task": "edges"}, ("edges", 3, 3, "AtoB")),
        ({"dataset": "mine", "input_channels": 7}, ("pairs", 7, 3, "AtoB")),
        ({"dataset": "facades"}, ("pairs", 3, 3, "BtoA")),
    ],
)
def test_channels_follow_from_the_task(settings, expected):
    config = make_config(**settings)
    assert (config.task, config.input_channels, config.output_channels, config.direction) == expected


def test_help_names_one_default_for_each_flag():
    flag_values = new_flags()
    define_flags(flag_values)
    for name in FIELDS:
        assert flag_values[name].help.count("Default: ") == 1, name
    assert flag_values["depth"].help.endswith(" Default: 8 for 256 px.")
    assert flag_values["discriminator_filters"].help.endswith(" Default: --base_filters.")


@pytest.mark.parametrize("fields", [FIELDS, fcn.FIELDS])
def test_every_option_is_explained_in_sentences_and_in_a_group(fields):
    groups = [field.metadata["group"] for field in fields.values()]
    assert list(dict.fromkeys(groups)) == ["data", "networks", "objective", "schedule", "output", "machine"]
    assert groups == sorted(groups, key=groups.index)
    for field in fields.values():
        sentences = field.metadata["help"]
        assert sentences[0].isupper() and sentences.endswith(".") and sentences.count(" ") >= 3, field.name


def test_a_training_of_fcn_differs_in_its_own_settings_and_in_these_defaults():
    common = [field.name for field in dataclasses.fields(RunConfig)]
    assert len(common) == 24 and set(common) <= set(FIELDS) & set(fcn.FIELDS)
    ours, theirs = make_config(), fcn.make_config()
    differ = {name for name in common if getattr(ours, name) != getattr(theirs, name)}
    assert differ == {
        *("dataset", "epochs", "batch_size", "learning_rate", "lr_schedule", "precision"),
        *("checkpoint_every_steps", "validate_every_steps"),
    }


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_config().steps = 3


def test_the_description_marks_what_is_not_the_default():
    lines = configs.describe(make_config(dataset="edges2shoes", lambda_l1=10.0, image_size="64x128"))
    marked = {line.split()[1]: line.split()[2] for line in lines.splitlines() if line.startswith("*")}
    assert marked == {
        "dataset": "edges2shoes",
        "lambda_l1": "10.0",
        "image_size": "64x128",
        "load_size": "72x143",
    }
    assert len(lines.splitlines()) == len(FIELDS)


def test_a_resumed_run_may_change_only_what_does_not_touch_the_weights():
    saved = make_config(dataset="facades")
    now = make_config(
        dataset="facades",
        steps=9,
        epochs=300,
        data_dir="elsewhere",
        cache_mib=0,
        checkpoint_every_steps=2,
        keep_checkpoints=5,
        validate_every_steps=3,
        summary_every_steps=4,
        sample_every_steps=5,
        profile_steps="1:2",
        export=False,
        saved_model_dir="there",
    )
    configs.check_resumable(saved, now, Path("runs/facades"))


def test_a_changed_setting_is_named_with_both_values():
    saved = make_config(dataset="facades")
    now = make_config(dataset="facades", lambda_l1=10.0, image_size=128, seed=1)
    with pytest.raises(UsageError) as caught:
        configs.check_resumable(saved, now, Path("runs/facades"))
    message = str(caught.value)
    assert message.startswith("runs/facades holds a run with other settings: ")
    assert "`image_size` was 256x256, is 128x128" in message
    assert "`lambda_l1` was 100.0, is 10.0" in message
    assert "`seed` was 0, is 1" in message
    assert "`batch_size`" not in message


def test_more_steps_would_change_a_decay_that_depends_on_them():
    saved = make_config(steps=10, lr_schedule="linear_decay")
    with pytest.raises(UsageError, match="`steps` was 10, is 20"):
        configs.check_resumable(saved, make_config(steps=20, lr_schedule="linear_decay"), Path("run"))
