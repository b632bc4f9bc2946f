"""Whole evaluations of tiny models: every example once, training's own scores, files, refusals."""

import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from tests.helpers import runs
from tests.helpers.tiny_run import write_run
from tfpix2pix.config.config import make_config
from tfpix2pix.evaluate.evaluation import evaluate_model
from tfpix2pix.export import model_card
from tfpix2pix.export.saved_model import export_saved_model
from tfpix2pix.metrics.label_maps import read_label_ids
from tfpix2pix.pipelines.base.errors import UsageError, UserError
from tfpix2pix.pipelines.files.sources import from_arrays
from tfpix2pix.pipelines.labels.label_sides import find_label_side
from tfpix2pix.pipelines.labels.palettes import IGNORED, Palette
from tfpix2pix.pipelines.synthetic.facades import draw_pair
from tfpix2pix.run.generator import load_generator
from tfpix2pix.run.splits import open_split
from tfpix2pix.train.validation import compute_validation_scores

COUNT = 9  # batches of 4, 4 and 1
PALETTE = Palette(
    ("blue", "red"), np.array([[0, 0, 255], [255, 0, 0]], np.uint8), np.array([[0, 0, 0]], np.uint8)
)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run on facades, whose validation split is generated ones."""
    folder = tmp_path_factory.mktemp("facades")
    (folder / "data" / "val").mkdir(parents=True)
    for place in range(COUNT):
        pair = draw_pair(0, place, (40, 32))
        sides = np.concatenate([pair.photo, pair.label_map], axis=1)
        Image.fromarray(sides).save(folder / "data" / "val" / f"{place}.png")
    sizes = {"image_size": 32, "depth": 3, "base_filters": 4}
    config = make_config(dataset="facades", data_dir=str(folder / "data"), seed=5, **sizes)
    return write_run(folder / "run", config)


@pytest.fixture(scope="module")
def evaluation(workdir):
    return evaluate_model(workdir, samples_per_image=2, gallery_size=4)


@pytest.fixture
def pair_set(tmp_path):
    return runs.write_dataset(tmp_path / "data" / "tiny", train=1, val=5).parent


def _read(file) -> dict:
    return json.loads(file.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_the_scores_are_those_of_validation_in_training(workdir, evaluation):
    generator, config, step = load_generator(workdir)
    expected = compute_validation_scores(generator, open_split(config, "val"), config.image_size, config.seed)
    for name, score in expected.items():
        assert evaluation.results[name].scores[name] == pytest.approx(score, rel=1e-5)
    assert evaluation.description["checkpoint_step"] == step == 2


def test_each_metric_has_its_file(workdir, evaluation):
    assert evaluation.folder == workdir / "eval"
    files = {path.stem for path in evaluation.folder.glob("*.json")}
    assert (
        files
        == {"l1", "psnr", "ssim", "histogram_intersection", "diversity", "coverage"}
        == set(evaluation.results)
    )
    for name, result in evaluation.results.items():
        contents = _read(evaluation.folder / f"{name}.json")
        assert contents["metric"] == name and contents["scores"] == result.scores
        assert contents["example_ids"] == [str(place) for place in range(COUNT)]
        assert {len(values) for values in contents["per_image"].values()} == {COUNT}
        description = contents["evaluation"]
        assert description["model"] == f"{workdir}, step 2" and description["noise_seed"] == 5
        assert (description["dataset"], description["split"], description["image_size"]) == (
            "facades",
            "val",
            [32, 32],
        )


def test_the_noise_changes_the_output(evaluation):
    assert evaluation.results["diversity"].scores["pairwise_l1"] > 1e-3


def test_the_page_shows_examples_spread_over_the_split(evaluation):
    pictures = sorted(path.name for path in (evaluation.folder / "pictures").iterdir())
    places = [0, 2, 4, 6]
    assert pictures == [
        f"{place:06d}_{kind}.png" for place in places for kind in ("generated", "input", "target")
    ]
    page = (evaluation.folder / "index.html").read_text()
    assert "4 of 9 pairs" in page and "000004_" in page and "000005_" not in page
    assert all(f'src="pictures/{name}"' in page for name in pictures)


def test_again_gives_the_same_files_and_leaves_no_old_picture(workdir, tmp_path):
    def evaluate(size: int) -> dict[str, bytes]:
        evaluate_model(workdir, tmp_path, metrics=["l1"], gallery_size=size)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        return {str(path.relative_to(tmp_path)): path.read_bytes() for path in files}

    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "mine.png").write_bytes(b"")
    first = evaluate(3)
    assert len(first) == 2 + 9 + 1
    assert len(evaluate(5)) == 2 + 15 + 1
    assert evaluate(3) == first


def test_a_folder_holds_one_evaluation_and_all_its_metrics(workdir, tmp_path, capsys):
    def evaluate(*metrics: str, **settings) -> str:
        evaluate_model(workdir, tmp_path, metrics=metrics, samples_per_image=2, gallery_size=2, **settings)
        return (tmp_path / "index.html").read_text()

    def files() -> set[str]:
        return {path.name for path in tmp_path.glob("*.json")}

    whole = evaluate("histogram_intersection", "diversity", "psnr", "l1")
    (tmp_path / "ssim.json").write_text("[1]")  # somebody's own
    # The new metrics come first; then the page is the same whether or not they were computed at once.
    assert evaluate("histogram_intersection", "diversity", "psnr") == whole
    assert "<td>psnr</td>" in evaluate("l1")
    assert "holds results of another evaluation" not in capsys.readouterr().err
    page = evaluate("l1", checkpoint=1, noise_seed=77)
    assert files() == {"l1.json", "ssim.json"} and "<td>psnr</td>" not in page and "<td>l1</td>" in page
    notice = (
        f"{tmp_path} holds results of another evaluation, which this one replaces: l1.json, psnr.json, "
        "histogram_intersection.json, diversity.json (other checkpoint_step, model, noise_seed); "
        "`output=ANOTHER` keeps both"
    )
    assert notice in capsys.readouterr().err.splitlines()
    assert _read(tmp_path / "l1.json")["evaluation"]["noise_seed"] == 77


def test_a_folder_keeps_results_of_a_model_whose_path_was_spelled_otherwise(
    workdir, tmp_path, monkeypatch, capsys
):
    (tmp_path / "link").symlink_to(workdir)

    def evaluate(model, metric, **settings) -> set[str]:
        evaluate_model(model, tmp_path / "out", metrics=[metric], gallery_size=0, **settings)
        return {path.stem for path in (tmp_path / "out").glob("*.json")}

    evaluate(tmp_path / "link", "l1")
    older = _read(tmp_path / "out" / "l1.json")
    del older["places"], older["evaluation"]["saved_model"]  # as earlier versions wrote it
    (tmp_path / "out" / "l1.json").write_text(json.dumps(older))
    assert evaluate(workdir, "psnr", data_dir=workdir / ".." / "data") == {"l1", "psnr"}
    monkeypatch.chdir(workdir.parent)
    assert evaluate(workdir.name, "ssim", data_dir="run/../data") == {"l1", "psnr", "ssim"}
    monkeypatch.chdir(tmp_path)
    assert evaluate("link", "coverage") == {"l1", "psnr", "ssim", "coverage"}
    assert _read(tmp_path / "out" / "ssim.json")["evaluation"]["model"] == "run, step 2"
    # People publish the results, and the folders of their machine are no part of them.
    assert str(workdir.parent) not in (tmp_path / "out" / "ssim.json").read_text()
    assert "holds results of another evaluation" not in capsys.readouterr().err


def test_another_checkpoint_gives_other_scores(workdir, evaluation, tmp_path):
    best = evaluate_model(workdir, tmp_path, checkpoint="best", metrics=["l1"], gallery_size=0)
    assert best.description["checkpoint_step"] == 1
    assert best.results["l1"].scores != evaluation.results["l1"].scores


@pytest.mark.slow
def test_a_saved_model_scores_as_its_run(workdir, evaluation, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator, config, _ = load_generator(workdir)
    version = export_saved_model(generator, tmp_path / "saved_models" / "tiny", verify=False)
    data = {"dataset": "facades", "data_dir": config.data_dir, "direction": "BtoA", "image_size": 32}
    data |= {"noise_seed": config.seed, "metrics": ["l1"]}
    served = evaluate_model(version.parent, gallery_size=0, **data)
    assert str(served.folder) == "eval/tiny" and (tmp_path / "eval/tiny/l1.json").is_file()
    assert served.description["saved_model"] == str(version)
    assert served.results["l1"].scores["l1"] == pytest.approx(evaluation.results["l1"].scores["l1"], rel=1e-5)
    for output in (version.parent, version.parent / "eval", version):
        with pytest.raises(UsageError, match="which a server reads"):
            evaluate_model(version, output, **data)
    with pytest.raises(UsageError, match=f"give `dataset`, `direction`, `image_size`: {version} has no"):
        evaluate_model(version)
    with pytest.raises(UsageError, match="give `direction`, `image_size`: "):
        evaluate_model(version, dataset="facades", data_dir=config.data_dir)


@pytest.mark.slow
def test_the_card_of_a_saved_model_tells_how_to_score_it(workdir, evaluation, tmp_path):
    generator, config, step = load_generator(workdir)
    about = model_card.describe_run(workdir, config, step)
    version = export_saved_model(generator, tmp_path / "tiny", about=about, verify=False)
    settings = {"data_dir": config.data_dir, "metrics": ["l1"], "gallery_size": 0}
    served = evaluate_model(version, tmp_path / "out", **settings)
    told = ("dataset", "direction", "image_size", "noise_seed")
    assert [served.description[name] for name in told] == ["facades", "BtoA", (32, 32), 5]
    assert served.results["l1"].scores["l1"] == pytest.approx(evaluation.results["l1"].scores["l1"], rel=1e-5)
    other = evaluate_model(version, tmp_path / "out", direction="AtoB", image_size=48, **settings)
    assert (other.description["direction"], other.description["image_size"]) == ("AtoB", (48, 48))
    card = version / "model_card.json"
    for text in ("{", "[]", '{"config": {"direction": "left"}}'):
        card.write_text(text)
        with pytest.raises(UserError, match=r"model_card\.json cannot be read .*move it away"):
            evaluate_model(version, tmp_path / "out", **settings)


@pytest.mark.slow
def test_a_card_tells_scores_of_the_runs_own_data_alone(workdir, evaluation, pair_set, tmp_path):
    run = shutil.copytree(workdir, tmp_path / "run")
    config = load_generator(run)[1]

    def tell() -> dict:
        return model_card.describe_run(run, config, 2)["scores"]["evaluation"]

    l1 = {"split": "val", "l1": evaluation.results["l1"].scores["l1"]}
    assert tell()["l1"] == pytest.approx(l1) and tell().keys() == evaluation.results.keys()
    for settings in ({"direction": "AtoB"}, {"image_size": 48}, {"dataset": "tiny", "data_dir": pair_set}):
        evaluate_model(run, metrics=["l1"], gallery_size=0, **settings)
        assert "l1" not in tell()
    evaluate_model(run, metrics=["l1"], gallery_size=0)
    assert tell()["l1"] == pytest.approx(l1)


def test_a_data_set_of_ones_own(workdir, pair_set, tmp_path):
    result = evaluate_model(workdir, tmp_path / "out", dataset="tiny", data_dir=pair_set)
    assert result.description["examples"] == 5
    assert set(result.results) == {"l1", "psnr", "ssim", "histogram_intersection", "diversity", "coverage"}


@pytest.fixture
def segmenter(tmp_path) -> str:
    """A Keras model of 12 classes that sees nothing but the brightness."""
    network = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(12, 1)])
    network.save(tmp_path / "network.keras")
    return str(tmp_path / "network.keras")


def test_fcn_score_of_photos_with_the_ceiling(workdir, segmenter, tmp_path):
    result = evaluate_model(workdir, tmp_path / "out", segmenter=segmenter, gallery_size=1)
    assert "label_accuracy" not in result.results
    contents = _read(tmp_path / "out" / "fcn_score.json")
    assert contents["scores"].keys() == contents["ground_truth"].keys()
    assert [row["class"] for row in contents["per_class"]][:3] == ["background", "facade", "window"]
    # 9 images of 32x32 px, none of them void.
    assert (
        np.sum(contents["confusion"]["generated"])
        == 9216
        == sum(row["pixels"] for row in contents["per_class"])
    )
    page = (tmp_path / "out" / "index.html").read_text()
    assert "fcn_score by class" in page and "ground truth" in page


def test_label_maps_are_scored_directly(workdir, tmp_path):
    result = evaluate_model(workdir, tmp_path / "out", direction="AtoB", gallery_size=0)
    assert set(result.results) == {"l1", "psnr", "ssim", "label_accuracy", "diversity", "coverage"}
    assert result.description["direction"] == "AtoB"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": ["l1", "nonsense"]}, "no such metric: nonsense .*histogram_intersection"),
        ({"metrics": ["fcn_score"]}, "fcn_score needs a segmentation network: give `segmenter`"),
        ({"metrics": ["label_accuracy"]}, "generates photos: take fcn_score"),
        ({"image_size": "12"}, "`image_size` must be at least"),
        ({"direction": "left"}, "`direction` must be one of"),
        ({"palette": "camvid"}, "`palette` camvid has other colours"),
        ({"absent_classes": "half"}, "`absent_classes` must be"),
        ({"segmenter": "none.keras"}, "none.keras, which does not exist"),
    ],
)
def test_refusals_write_nothing(workdir, tmp_path, settings, message):
    with pytest.raises(UsageError, match=message):
        evaluate_model(workdir, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file(workdir, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        evaluate_model(workdir, tmp_path / "out")


def test_a_file_that_breaks_meanwhile_is_named(workdir, pair_set, tmp_path):
    # Beyond the budget for decoded images only headers are read at first.
    file = pair_set / "tiny" / "val" / "val-3.png"
    contents = bytearray(file.read_bytes())
    contents[len(contents) // 2 :] = bytes(len(contents) - len(contents) // 2)
    file.write_bytes(contents)
    shutil.copytree(workdir, tmp_path / "run")
    text = (tmp_path / "run" / "config.json").read_text()
    (tmp_path / "run" / "config.json").write_text(text.replace('"cache_mib": 2048', '"cache_mib": 0'))
    with pytest.raises(UserError, match=r"val-3\.png"):
        evaluate_model(tmp_path / "run", tmp_path / "out", dataset="tiny", data_dir=pair_set)


def test_class_ids_come_from_the_label_map_at_its_own_size():
    label_map = np.zeros((1, 3, 3, 3), np.uint8)
    label_map[0, :, 0], label_map[0, :, 1] = (0, 0, 255), (255, 0, 0)
    photo = np.full((1, 3, 3, 3), 120, np.uint8)
    for side, images in (("input", (label_map, photo)), ("target", (photo, label_map))):
        source = from_arrays(*images)
        assert find_label_side(source, PALETTE) == side
        (ids,) = read_label_ids(source, PALETTE, side, (1, 6), 4)
        # A bilinear blend of blue and red would be nearest to black.
        assert ids.tolist() == [[[0, 0, 1, 1, IGNORED, IGNORED]]]
    assert find_label_side(from_arrays(photo, photo), PALETTE) is None
    assert find_label_side(from_arrays(photo, photo), None) is None


def test_images_are_read_with_the_channels_of_a_saved_model(tmp_path, pair_set):
    generator = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)])
    seeds = keras.Input((2,), dtype="int32")
    model = keras.Model([generator.inputs[0], seeds], generator.outputs[0])
    version = export_saved_model(model, tmp_path / "gray", verify=False)
    settings = {"direction": "AtoB", "image_size": 32}
    evaluation = evaluate_model(version, tmp_path / "out", dataset="tiny", data_dir=pair_set, **settings)
    assert np.isfinite(evaluation.results["l1"].scores["l1"])
    drawn = evaluate_model(
        version, tmp_path / "drawn", dataset="synthetic", metrics=["l1"], gallery_size=0, **settings
    )
    assert np.isfinite(drawn.results["l1"].scores["l1"])


def test_the_command_prints_the_scores_and_the_page(workdir, tmp_path):
    command = [runs.sys.executable, "-m", "tfpix2pix.evaluate", f"--model={workdir}"]
    process = runs.call([*command, "--metrics=l1,diversity", "--gallery_size=2", f"--output={tmp_path}"])
    assert process.returncode == 0, process.stderr
    header, first, *_, last = process.stdout.splitlines()
    assert header.split() == ["metric", "score", "generated"]  # there is no training split, so no baseline
    score = _read(tmp_path / "l1.json")["scores"]["l1"]
    assert first.split() == ["l1", "l1", f"{score:.4f}"]
    assert last == f"report: {tmp_path / 'index.html'}"
    assert "9/9 images" in process.stderr
    with Image.open(tmp_path / "pictures" / "000000_generated.png") as picture:
        assert picture.size == (32, 32)


def test_the_command_refuses_before_it_loads_anything(tmp_path):
    command = [runs.sys.executable, "-m", "tfpix2pix.evaluate"]
    process = runs.call([*command, "--model=nowhere", "--metrics=fod"])
    assert process.returncode == 2
    assert runs.last_line(process).startswith("error: no such metric: fod (there are l1, psnr")
    assert runs.last_line(runs.call(command)) == "error: --model is missing (--help lists the flags)"
