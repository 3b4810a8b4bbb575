"""Text that becomes markup, and text that must not."""

from base64 import b64decode

from pipelines.report.markup import Markup, data_uri, element, joined


def test_text_is_escaped_wherever_it_comes_in_and_markup_is_not():
    inner = element("b", "1 < 2 & 3")
    assert inner == "<b>1 &lt; 2 &amp; 3</b>"
    assert element("p", inner, " > ", None) == "<p><b>1 &lt; 2 &amp; 3</b> &gt; </p>"
    assert joined("<i>", Markup("<i>"), None, "") == "&lt;i&gt;<i>"
    assert isinstance(joined("<i>"), Markup)


def test_attributes_are_escaped_named_and_left_out():
    image = element("img", src='a"b', class_="x", aria_label="y", loop=True, muted=False, alt=None, width=3)
    assert image == '<img src="a&quot;b" class="x" aria-label="y" loop width="3">'


def test_an_address_may_hold_the_bytes_themselves():
    kind, _, data = data_uri(b"\x00\xff", "image/png").partition(",")
    assert (kind, b64decode(data)) == ("data:image/png;base64", b"\x00\xff")
