"""Settings of how the output is written."""

from pipelines.request.encode import Encode
from pipelines.request.settings import Settings, every_setting


def test_they_are_the_group_encode_and_change_no_frame():
    own = {key: entry for key, entry in every_setting().items() if key.startswith("encode.")}
    assert Settings().encode == Encode()
    assert {entry.about.scope for entry in own.values()} == {"encode"}
    assert own["encode.preset"].about.option == "codec"
