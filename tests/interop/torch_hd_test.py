"""Weights of pix2pixHD's own code as runs, and back: its outputs, its bits, through the command."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers import references
from tests.helpers.tiny_run import write_run
from tfpix2pix.config.config import make_config
from tfpix2pix.interop import torch_files, torch_weights
from tfpix2pix.networks.build import build_discriminator
from tfpix2pix.networks.instance_features import find_features, with_features
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.meaning import Meaning, Side
from tfpix2pix.run import checkpoints
from tfpix2pix.run.folder import check_classes, read_config, read_meaning
from tfpix2pix.run.generator import load_feature_encoder, load_generator
from tfpix2pix.train.pretrained import from_pretrained
from tfpix2pix.translate.translator import Translator

# What hd_step.npz was made with.
SETTINGS = {
    "global": {"generator": "global", "base_filters": 4},
    "local": {"generator": "enhancer", "base_filters": 6, "enhancers": 1, "enhancer_blocks": 2},
}
THERE = {
    "global": "--netG global --ngf 4 --n_downsample_global 2 --n_blocks_global 2 --norm instance",
    "local": "--netG local --ngf 3 --n_downsample_global 2 --n_blocks_global 2 --n_local_enhancers 1 "
    "--n_blocks_local 2 --norm instance",
}
# The classes of hd_step.npz in another order. Their ids are the channels there; colours follow from ids.
PALETTE = {"car": 3, "unlabeled": 0, "sky": 4, "road": 1, "tree": 2, "void": [[255, 255, 255]]}
NETWORKS = {"checkpoint": "G", "discriminator_file": "D", "encoder_file": "E"}
CLUSTERS = {
    0: np.array([[1.0, 0, 0]]),
    3: np.array([[0, 1.0, 0], [0, 0, 1.0]]),
}  # by ids, as encode_features.py


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    return references.read("hd_step.npz")


def _state(recorded, case, network):
    return references.below(recorded, f"{case}/{network}/initial/")


def _convert(*arguments):
    torch_weights.main(["torch_weights", *map(str, arguments)])


@pytest.fixture(scope="module")
def converted(recorded, tmp_path_factory):
    """Folder with the files G.npz and D.npz of each case, and its run."""
    folder = tmp_path_factory.mktemp("hd")
    for case in SETTINGS:
        for name, network in (("G", "generator"), ("D", "discriminator")):
            np.savez(folder / f"{case}_{name}.npz", **_state(recorded, case, network))
        files = f"--checkpoint={folder / case}_G.npz", f"--discriminator_file={folder / case}_D.npz"
        _convert(*files, f"--output={folder / case}")
    return folder


@pytest.mark.parametrize("case", SETTINGS)
def test_outputs_are_those_of_the_original_code(recorded, converted, case):
    generator, config, step = load_generator(converted / case)
    assert step == 0
    images = recorded[f"{case}/input"]
    np.testing.assert_allclose(np.asarray(generator(images)), recorded[f"{case}/generated_image"], atol=1e-5)
    opened = from_pretrained(converted / f"{case}_G.npz")
    np.testing.assert_array_equal(np.asarray(opened(images)), np.asarray(generator(images)))

    discriminator = build_discriminator(config)
    checkpoints.restore_model(converted / case, 0, "discriminator", discriminator)
    logits = discriminator([images, recorded[f"{case}/target_image"]])
    for scale in (0, 1):
        expected = recorded[f"{case}/discriminator/real_features/{scale}/4"]
        np.testing.assert_allclose(logits[scale], expected, atol=1e-5)


@pytest.mark.parametrize("case", SETTINGS)
def test_the_run_trains_by_the_method_of_the_paper(converted, case):
    config = read_config(converted / case)
    settings = {"depth": 2, "residual_blocks": 2, "discriminator_layers": 3, "num_discriminators": 2}
    settings |= {"method": "pix2pixhd", "objective": "cgan", "gan_loss": "least_squares", "input_channels": 6}
    for name, value in {**SETTINGS[case], **settings}.items():
        assert getattr(config, name) == value, name
    assert (config.discriminator_filters or config.base_filters) == 4


@pytest.mark.parametrize("case", SETTINGS)
def test_there_and_back_every_bit_is_the_same(recorded, converted, case, tmp_path, capsys):
    files = {"generator": tmp_path / "G.npz", "discriminator": tmp_path / "D.npz"}
    _convert(
        f"--workdir={converted / case}",
        *map("--{}={}".format, ("output", "discriminator_file"), files.values()),
    )
    for network, file in files.items():
        state, expected = torch_files.read_state(file), _state(recorded, case, network)
        assert state.keys() == expected.keys()
        assert all(np.array_equal(state[name], expected[name]) for name in expected)
    shown = capsys.readouterr().out
    assert f"{THERE[case]} --input_nc 6 --output_nc 3\n" in shown
    assert "--num_D 2 --n_layers_D 3 --ndf 4 --norm instance" in shown


def test_swapped_and_incomplete_files_are_refused(recorded, converted, tmp_path):
    with pytest.raises(UsageError, match="holds a discriminator"):
        _convert(f"--checkpoint={converted / 'global_D.npz'}", f"--output={tmp_path / 'run'}")
    for network, name, option in (
        ("generator", "model1_2.0.conv_block.1.weight", "checkpoint"),
        ("discriminator", "scale0_layer2.0.bias", "discriminator_file"),
    ):
        state = _state(recorded, "local", network)
        del state[name]
        np.savez(tmp_path / f"{network}.npz", **state)
        files = {"checkpoint": converted / "local_G.npz", option: tmp_path / f"{network}.npz"}
        with pytest.raises(UserError, match=f"missing: {name}"):
            _convert(*(f"--{flag}={file}" for flag, file in files.items()), f"--output={tmp_path / 'run'}")
    assert not (tmp_path / "run").exists()


def test_other_norms_have_no_place_there(tmp_path):
    config = make_config(
        dataset="synthetic",
        method="pix2pixhd",
        image_size=32,
        base_filters=2,
        depth=2,
        residual_blocks=1,
        normalization="instance",
    )
    write_run(tmp_path / "run", config)
    with pytest.raises(UserError, match="`generator=global`, `normalization=instance`.*pix2pixHD has global"):
        _convert(f"--workdir={tmp_path / 'run'}", f"--output={tmp_path / 'G.npz'}")


def _label_map_states(recorded, case) -> dict[str, dict[str, np.ndarray]]:
    """Returns states of networks as hd_step.npz has them, whose generator sees three features more."""
    generator = _state(recorded, case, "generator")
    for name in ("model.1.weight", "model1_1.1.weight"):
        if name in generator:
            shape = (len(generator[name]), 3, 7, 7)
            more = np.random.default_rng(0).normal(scale=0.1, size=shape).astype(np.float32)
            generator[name] = np.concatenate([generator[name], more], 1)
    encoder = references.below(recorded, "encoder/weights/")
    return {"G": generator, "D": _state(recorded, case, "discriminator"), "E": encoder}


@pytest.fixture(scope="module")
def of_label_maps(recorded, tmp_path_factory):
    """Folder with the files of the three networks of each case, and with their run, `data_dir` and all."""
    folder = tmp_path_factory.mktemp("label_maps")
    (folder / "palette.json").write_text(json.dumps(PALETTE))
    for case in SETTINGS:
        for network, state in _label_map_states(recorded, case).items():
            np.savez(folder / f"{case}_{network}.npz", **state)
        files = (f"--{flag}={folder / case}_{network}.npz" for flag, network in NETWORKS.items())
        _convert(*files, "--input_encoding=one_hot", f"--data_dir={folder}", f"--output={folder / case}")
    np.save(folder / "clusters.npy", CLUSTERS)
    return folder


@pytest.mark.parametrize("case", SETTINGS)
def test_networks_of_label_maps_are_those_of_the_original_code(recorded, of_label_maps, case):
    run = of_label_maps / case
    label_ids, ids = recorded[f"{case}/label_ids"], recorded[f"{case}/instance_ids"]
    # Features have no clusters, so that they are 0, and the picture is the recorded one.
    translate = Translator(run, image_size="native")
    translated = translate(label_ids[..., None], instance_ids=ids, dtype="float32")
    np.testing.assert_allclose(translated, recorded[f"{case}/generated_image"], atol=1e-5)

    generator, config, _ = load_generator(run)
    assert (config.boundaries, config.instance_features, config.feature_depth) == (True, 3, 2)
    palette = read_meaning(run).input.palette
    colours = palette.colour_table(read_meaning(run).input.ids)[label_ids]
    images = np.concatenate([colours / 127.5 - 1, ids[..., None] / 32767.5 - 1], -1).astype(np.float32)
    features = np.random.default_rng(1).uniform(-1, 1, (*images.shape[:3], 3)).astype(np.float32)
    found = with_features(generator)([tf.constant(images), tf.zeros([1, 2], tf.int32), tf.constant(features)])
    # The same file without label maps is a network of nine channels, as PyTorch sees them.
    plain = from_pretrained(of_label_maps / f"{case}_G.npz")
    expected = plain(np.concatenate([recorded[f"{case}/input"], features], -1))
    assert np.abs(expected - translated).max() > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-5)

    judge = build_discriminator(config, palette)
    checkpoints.restore_model(run, 0, "discriminator", judge)
    for scale, logits in enumerate(judge([images, recorded[f"{case}/target_image"]])):
        expected = recorded[f"{case}/discriminator/real_features/{scale}/4"]
        np.testing.assert_allclose(logits, expected, atol=1e-5)
    encoder = load_feature_encoder(run, 0)
    of_instances = encoder([recorded["encoder/image"], recorded["encoder/instance_ids"]])
    np.testing.assert_allclose(of_instances, recorded["encoder/features"], atol=1e-5)


@pytest.mark.parametrize("case", SETTINGS)
def test_networks_of_label_maps_go_there_and_back(recorded, of_label_maps, case, tmp_path, capsys):
    outputs = {flag: tmp_path / f"{network}.npz" for flag, network in NETWORKS.items()}
    outputs["output"] = outputs.pop("checkpoint")
    _convert(f"--workdir={of_label_maps / case}", *(f"--{flag}={file}" for flag, file in outputs.items()))
    for network, expected in _label_map_states(recorded, case).items():
        state = torch_files.read_state(tmp_path / f"{network}.npz")
        assert state.keys() == expected.keys()
        assert all(np.array_equal(state[name], expected[name]) for name in expected)
    shown = capsys.readouterr().out
    assert f"{THERE[case]} --label_nc 5 --instance_feat --feat_num 3 --output_nc 3\n" in shown
    assert "--n_downsample_E 2 --nef 4\n" in shown


def test_label_maps_of_other_classes_are_refused(of_label_maps, tmp_path):
    files = [f"--{flag}={of_label_maps}/global_{network}.npz" for flag, network in NETWORKS.items()]
    output = f"--output={tmp_path / 'run'}"
    with pytest.raises(UsageError, match=r"a palette\.json, such as .* Received: `dataset=run`"):
        _convert(*files, "--input_encoding=one_hot", output)
    (tmp_path / "palette.json").write_text(json.dumps({"car": 0, "sky": 1}))
    with pytest.raises(UsageError, match="does not fit 2 classes .* of as many classes as the model"):
        _convert(*files, "--input_encoding=one_hot", f"--data_dir={tmp_path}", output)
    with pytest.raises(
        UsageError, match="holds an encoder of features, where a generator is .*--encoder_file=E"
    ):
        _convert(f"--checkpoint={of_label_maps}/global_E.npz", output)
    assert not (tmp_path / "run").exists()


def test_label_maps_of_imported_weights_may_hold_colours(of_label_maps):
    run = of_label_maps / "global"
    then = read_meaning(run)
    check_classes(run, Meaning(Side(3, "uint8", palette=then.palette), Side(3, "uint8")))
    with pytest.raises(UsageError, match="no label maps of known classes now"):
        check_classes(run, Meaning(Side(3, "uint8"), Side(3, "uint8")))


def test_clusters_of_features_go_there_and_back(of_label_maps, tmp_path):
    run, files = tmp_path / "run", (of_label_maps / "global_G.npz", of_label_maps / "clusters.npy")
    settings = "--input_encoding=one_hot", f"--data_dir={of_label_maps}"
    _convert(*map("--{}={}".format, ("checkpoint", "clusters_file"), files), *settings, f"--output={run}")
    layer = find_features(load_generator(run)[0])
    assert layer.clusters == 2
    # The palette begins with the car, whose id is 3, and the unlabeled.
    np.testing.assert_array_equal(layer.counts, [2, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(layer.centers[0], CLUSTERS[3])
    output = tmp_path / "clusters.npy"
    _convert(f"--workdir={run}", f"--output={tmp_path / 'G.npz'}", f"--clusters_file={output}")
    back = np.load(output, allow_pickle=True).item()
    assert back.keys() == CLUSTERS.keys()
    assert all(np.array_equal(back[name], CLUSTERS[name]) for name in back)
    _refuse_clusters(tmp_path, settings, files[0], np.zeros(3), "it holds an array")
    _refuse_clusters(tmp_path, settings, files[0], {0: Path("evil")}, "it holds pathlib")
    _refuse_clusters(tmp_path, settings, files[0], {9: np.zeros((1, 3))}, "the files are not of one run")


def _refuse_clusters(folder, settings, checkpoint, contents, reason):
    np.save(folder / "bad.npy", contents)
    files = f"--checkpoint={checkpoint}", f"--clusters_file={folder / 'bad.npy'}"
    with pytest.raises(UserError, match=reason):
        _convert(*files, *settings, f"--output={folder / 'none'}")
    assert not (folder / "none").exists()
