"""What is found on a machine on which all is well, and on ones where something is missing."""

import json
import shutil
from importlib.metadata import PackageNotFoundError, version

import imageio_ffmpeg
import pytest

from morph.weights.locate import EMBEDDED
from pipelines.output.targets import target_names
from pipelines.report import doctor
from pipelines.report.doctor import as_dict, examine, healthy


def found(topic, measure=False):
    return {finding.name: finding for finding in examine(measure) if finding.topic == topic}


def test_where_all_is_well_nothing_is_missing():
    findings = list(examine(measure=False))
    assert healthy(findings)
    assert {finding.topic for finding in findings} == {
        *("python", "packages", "optional parts", "ffmpeg", "weights", "devices", "room")
    }
    told = {finding.name: finding.fact for finding in findings}
    assert told["torch"] == version("torch")
    assert set(target_names()) - {"gif"} <= set(told)  # every ffmpeg has GIF
    assert told["h264"] == "libx264"
    assert "cores" in told["cpu"]
    assert json.loads(json.dumps(as_dict(findings)))["healthy"] is True


@pytest.mark.slow
def test_a_default_render_is_reckoned():
    (speed,) = found("speed", measure=True).values()
    assert "U-Net forwards of 24 frames by the default preset, model embedded on " in speed.fact
    assert "about" in speed.fact


def test_a_package_that_is_missing_or_too_old_is_named_with_what_to_do(monkeypatch):
    def other(name):
        if name == "diffusers":
            raise PackageNotFoundError(name)
        return {"torch": "2.1.0"}.get(name) or version(name)

    monkeypatch.setattr(doctor, "version", other)
    findings = list(examine())
    packages = {finding.name: finding for finding in findings if finding.topic == "packages"}
    assert packages["diffusers"].state == packages["torch"].state == "missing"
    assert packages["diffusers"].remedy == "pip install 'diffusers>=0.42'"
    assert packages["torch"].fact == "2.1.0 is here, and >=2.6 is needed"
    assert not healthy(findings)
    assert "speed" not in {finding.topic for finding in findings}  # nothing could be loaded


def test_an_optional_part_is_no_illness(monkeypatch):
    def other(name):
        if name == "pillow-heif":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor, "version", other)
    findings = list(examine(measure=False))
    (part,) = [finding for finding in findings if finding.name == "heic"]
    assert (part.state, "[heic]" in part.remedy) == ("optional", True)
    assert healthy(findings)


def test_an_ffmpeg_without_an_encoder_or_that_does_not_start_is_told(monkeypatch, tmp_path):
    poor = tmp_path / "ffmpeg"
    poor.write_text(f'#!/bin/sh\n{imageio_ffmpeg.get_ffmpeg_exe()} "$@" | grep -v libx265\n')
    poor.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(poor))
    encoders = found("ffmpeg")
    assert (encoders["hevc"].state, encoders["h264"].state) == ("warning", "ok")
    assert "no libx265: --codec hevc fails" in encoders["hevc"].fact
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nowhere"))
    assert found("ffmpeg")["ffmpeg"].state == "missing"


def test_damaged_weights_are_found(monkeypatch, tmp_path):
    shutil.copytree(EMBEDDED, tmp_path / "model")
    weights = tmp_path / "model" / "vae" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    monkeypatch.setattr(doctor, "EMBEDDED", tmp_path / "model")
    told = found("weights")
    assert (told["embedded"].state, told["vgg16"].state) == ("missing", "ok")
    assert "is missing or damaged" in told["embedded"].fact
