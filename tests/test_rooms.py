"""The rooms of both packages stand on one another: what is imported lies in the same room, or further down."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = (  # from the ground up
    "morph",  # the files right in it: errors, random, pacing, scaling
    "morph.weights",
    "morph.blending",
    "morph.media",
    "morph.diffusion",
    "morph.diffusion.backbones",
    "morph.video",
    "morph.perception",
    "morph.motion",
    "morph.semantic",
    "morph.editing",
    "morph.directions",
    "morph.quality",
    "morph.embedded",
    "pipelines.request.options",
    "pipelines.request.edits",
    "pipelines.request",
    "pipelines.between",
    "pipelines.edit",
    "pipelines.tasks",
    "pipelines.output",
    "pipelines.manifest",
    "pipelines.job",
    "pipelines.batch",
    "pipelines.report",
    "pipelines.page",
    "pipelines.directions",
    "pipelines.comfy",
    "pipelines.comfy.comfyui_morph",
    "pipelines.cli",
    "pipelines",  # the door: what ``from pipelines import`` gives
)


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {name_of(path): path for package in ("morph", "pipelines") for path in (ROOT / package).rglob("*.py")}


def imported(source, modules):
    """Those of ``modules`` that are imported anywhere in a source: in functions and for type checkers too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a relative import hides the room that it leads to"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module for name in names}
    return found & set(modules)


def floor(module):
    package = module if SOURCES[module].name == "__init__.py" else module.rpartition(".")[0]
    return ROOMS.index(package)


ARROWS = {module: imported(path.read_text(encoding="utf-8"), SOURCES) for module, path in SOURCES.items()}


def test_imports_are_found_wherever_they_stand():
    source = (
        "import a.b as c\n"
        "from a import d, thing\n"
        "if TYPE_CHECKING:\n    from a.e import E\n"
        "def f():\n    from other import d\n    import a.g\n"
    )
    modules = {"a", "a.b", "a.d", "a.e", "a.f", "a.g", "d"}
    assert imported(source, modules) == {"a", "a.b", "a.d", "a.e", "a.g"}
    with pytest.raises(AssertionError, match="relative"):
        imported("from . import d", modules)


def test_every_folder_is_a_room_with_a_floor():
    assert {name for name, path in SOURCES.items() if path.name == "__init__.py"} == set(ROOMS)


def test_no_import_leads_up():
    arrows = [(module, other) for module, others in ARROWS.items() for other in others]
    up = [f"{module} -> {other}" for module, other in arrows if floor(other) > floor(module)]
    assert not up, "\n".join(sorted(up))


def test_no_files_import_one_another_in_a_circle():
    try:
        TopologicalSorter(ARROWS).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_module_of_the_pipeline_has_its_tests_in_the_same_place():
    modules = [path.relative_to(ROOT) for name, path in SOURCES.items() if name.startswith("pipelines.")]
    tests = {path: ROOT / "tests" / path.with_name(f"test_{path.name}") for path in modules}
    without = [str(path) for path, test in tests.items() if path.name != "__init__.py" and not test.is_file()]
    assert not without, "\n".join(sorted(without))


def test_no_file_is_long():
    files = [path for package in ("morph", "pipelines", "tests") for path in (ROOT / package).rglob("*.py")]
    lines = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: count for name, count in lines.items() if count > 400} == {}
