"""``morph comfy install`` as a person meets it."""

from pipelines.comfy.install import NAME


def test_the_nodes_are_installed_once_and_replaced_when_told(command, tmp_path):
    nodes = tmp_path / "custom_nodes"
    nodes.mkdir()
    done = command("comfy", "install", str(tmp_path))
    assert (done.returncode, done.stdout) == (0, f"{nodes / NAME}\n")
    assert len(done.stderr.splitlines()) == 1
    (nodes / NAME / "__init__.py").write_text("mine")
    refused = command("comfy", "install", str(nodes))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"Error: {nodes / NAME}: is there already")
    assert (nodes / NAME / "__init__.py").read_text() == "mine"
    assert command("comfy", "install", str(nodes), "--overwrite").returncode == 0
    assert "comfy_entrypoint" in (nodes / NAME / "__init__.py").read_text()


def test_another_folder_is_one_line(command, tmp_path):
    refused = command("comfy", "install", str(tmp_path))
    assert refused.returncode == 2
    line = "is neither ComfyUI's folder, which has custom_nodes in it, nor that: name one of both"
    assert refused.stderr == f"Error: {tmp_path}: {line}\n"
    assert not list(tmp_path.iterdir())
