import pytest

from morph.errors import SettingsError
from pipelines.directions.finding import FINDERS
from pipelines.directions.methods import METHODS, Warped, method_of
from pipelines.request.options.setting import settings_of


def test_every_method_is_carried_out_and_says_what_it_is():
    assert set(FINDERS) == set(METHODS.values())
    for name, method in METHODS.items():
        assert method.name == name
        assert method.does
        assert "20" in method.paper
        assert all(setting.about.help for setting in settings_of(method))


def test_options_are_read_and_bounded():
    method = method_of("warped", {"dipoles": "3", "rate": "0.5"})
    assert isinstance(method, Warped)
    assert (method.dipoles, method.rate, method.fit_steps) == (3, 0.5, 60)
    for name, values, message in (
        ("pac", {}, "did you mean pca"),
        ("pca", {"share": 1}, "pca has no share; it has no options"),
        ("boundary", {"shares": 1}, "did you mean share"),
        ("boundary", {"share": "0.9"}, "from 0.001 to 0.5"),
        ("steer", {"change": "bigger"}, "one of zoom"),
        ("steer", {"fit_steps": "many"}, "whole number"),
    ):
        with pytest.raises(SettingsError, match=message):
            method_of(name, values)
