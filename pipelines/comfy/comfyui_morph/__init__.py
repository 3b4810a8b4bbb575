"""The folder for ComfyUI's custom_nodes: it brings in the nodes of the installed package, and holds none itself."""

import sys

try:
    from pipelines.comfy.extension import comfy_entrypoint
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("pipelines", "morph"):
        raise
    raise ImportError(
        f"morph is not installed in ComfyUI's Python: {sys.executable} -m pip install FOLDER, a clone of morph"
    ) from None

__all__ = ["comfy_entrypoint"]
