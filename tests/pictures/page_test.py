"""Templates: what stands for values is text, and nothing that a template speaks of may be missing."""

import jinja2
import pytest

from tfpix2pix.pictures.page import Row, render_gallery, render_template

GALLERY = "pictures/templates/gallery.html"


def test_values_are_text_in_elements_and_in_attributes():
    page = render_gallery("<T>", "a & b", [Row("\"'<i>", (128, 64), "a b.jpg", ["#.png"], ["<c>"])])
    assert "<title>&lt;T&gt;</title>" in page and "<h1>&lt;T&gt;</h1>" in page
    assert "<p>a &amp; b</p>" in page
    assert "<h2>&#34;&#39;&lt;i&gt;</h2>" in page
    # 64 pixels are shown as 256, and 128 as four times as many too.
    assert (
        '<a href="%23.png"><img loading="lazy" src="%23.png" alt="&lt;c&gt; of &#34;&#39;&lt;i&gt;" '
        'class="small" width="256" height="512"></a>' in page
    )
    assert "<figcaption>&lt;c&gt;</figcaption>" in page


def test_a_wide_picture_keeps_its_size():
    page = render_gallery("t", "s", [Row("r", (90, 257), "a", ["b", "c"])])
    assert page.count('width="257" height="90"') == 3 and 'class="small"' not in page
    assert page.index("output 1</figcaption>") < page.index("output 2</figcaption>")


def test_what_a_template_lacks_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'summary' is undefined"):
        render_template(GALLERY, title="t", rows=[])
