"""Who sees what: fair, without repeats, and always the same for a session."""

from tfpix2pix.study.folder import Example, Study
from tfpix2pix.study.plan import assign_condition, plan_session
from tfpix2pix.study.protocol import Protocol


def make_study(examples: int = 60, algorithms: tuple[str, ...] = ("L1", "cGAN"), **protocol) -> Study:
    return Study(
        title="t",
        seed=5,
        algorithms=algorithms,
        examples=tuple(
            Example(f"e{n}", f"real{n}", {name: f"{name}{n}" for name in algorithms}, f"broken{n}")
            for n in range(examples)
        ),
        protocol=Protocol(**protocol),
    )


def test_a_session_shows_each_example_once_its_real_image_beside_one_algorithms():
    trials = plan_session(make_study(), "cGAN", seed=1)
    assert len(trials) == 50
    assert [trial.practice for trial in trials] == [True] * 10 + [False] * 40
    assert len({trial.example_id for trial in trials}) == 50
    for trial in trials:
        number = trial.example_id[1:]
        other = "right" if trial.real_side == "left" else "left"
        assert trial.real_example_id == trial.example_id
        assert trial.images == {trial.real_side: f"real{number}", other: f"cGAN{number}"}


def test_a_plan_is_for_ever():
    trials = plan_session(make_study(), "cGAN", seed=1)
    assert [trial.example_id for trial in trials[:6]] == ["e18", "e0", "e30", "e7", "e41", "e16"]
    assert [trial.real_side for trial in trials[:6]] == ["right", "right", "right", "right", "left", "left"]


def test_sides_and_orders_are_of_chance():
    plans = [plan_session(make_study(), "L1", seed) for seed in range(200)]
    sides = [trial.real_side for plan in plans for trial in plan]
    # 10,000 fair draws: beyond 4 standard deviations of 50 once in 16,000 times.
    assert 4800 <= sides.count("left") <= 5200
    firsts = [plan[0].example_id for plan in plans]
    assert len(set(firsts)) > 50  # of 60, in 200 draws


def test_vigilance_trials_are_among_those_that_count():
    study = make_study(vigilance_trials=5)
    places = set()
    for seed in range(50):
        trials = plan_session(study, "L1", seed)
        vigilant = [trial for trial in trials if trial.vigilance]
        assert len(trials) == 55 and len(vigilant) == 5
        for trial in vigilant:
            assert not trial.practice
            assert f"broken{trial.example_id[1:]}" in trial.images.values()
        places |= {trial.index for trial in vigilant}
    assert places == set(range(10, 55))


def test_with_different_pairing_nobody_sees_both_images_of_an_example():
    trials = plan_session(make_study(examples=100, pairing="different"), "L1", seed=2)
    shown = [trial.example_id for trial in trials] + [trial.real_example_id for trial in trials]
    assert len(set(shown)) == 100
    few = plan_session(make_study(examples=50, pairing="different"), "L1", seed=2)
    assert all(trial.example_id != trial.real_example_id for trial in few)


def test_algorithms_are_assigned_to_as_many_people_each():
    study = make_study(algorithms=("a", "b", "c"))
    counts: dict[str, int] = {}
    for ordinal in range(300):
        algorithm = assign_condition(study, ordinal, counts)
        counts[algorithm] = counts.get(algorithm, 0) + 1
        assert max(counts.values()) - min(counts.get(name, 0) for name in "abc") <= 1
    assert counts == {"a": 100, "b": 100, "c": 100}


def test_the_first_of_equals_is_drawn():
    study = make_study(algorithms=("a", "b"))
    firsts = [assign_condition(study, ordinal, {}) for ordinal in range(200)]
    assert 70 <= firsts.count("a") <= 130


def test_a_preference_session_shows_two_algorithms_of_one_input_on_sides_of_chance():
    study = make_study(algorithms=("a", "b", "c"), design="preference", vigilance_trials=5, practice_trials=2)
    assert study.conditions == ("a/b", "a/c", "b/c")
    plans = [plan_session(study, "a/c", seed) for seed in range(100)]
    for trial in plans[0]:
        number = trial.example_id[1:]
        other = "right" if trial.real_side == "left" else "left"
        first = f"broken{number}" if trial.vigilance else f"a{number}"
        assert trial.images == {trial.real_side: first, other: f"c{number}"}
        assert trial.right_side == (other if trial.vigilance else None)
    sides = [trial.real_side for plan in plans for trial in plan]
    # 4,700 fair draws: beyond 4 standard deviations of 34 once in 16,000 times.
    assert 2213 <= sides.count("left") <= 2487
