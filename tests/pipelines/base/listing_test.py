from tfpix2pix.pipelines.base.listing import count_of, join_some


def test_one_thing_and_several():
    assert count_of(1, "pair") == "1 pair"
    assert count_of(0, "pair") == "0 pairs"
    assert count_of(1200, "class", "classes") == "1,200 classes"
    assert count_of(1, "image has", "images have") == "1 image has"


def test_the_first_ten_are_listed():
    assert join_some(["a", "b"]) == "a, b"
    assert join_some([str(number) for number in range(12)], "; ").endswith("; 9; and 2 more")
