"""Models of the Hugging Face hub: which of their files are fetched, and where they lie then; no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from morph.errors import ModelError, reason_of
from morph.weights.names import PICKLE, SUFFIX, VARIANTS, spelled


def snapshot(hub_id: str, fetch: bool, patterns: Sequence[str]) -> Path:
    """The folder of a model of the hub, with the files that ``patterns`` name; see :func:`chosen`.

    Without ``fetch`` it must be in the cache, and the network is not touched; there may be its configs alone.

    Raises:
        ModelError: there is no such model, or it cannot be had: of a hub that gives nothing its weights are not in
            the cache either, where ``patterns`` ask for any.
    """
    from huggingface_hub import model_info, snapshot_download
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is its client's, whichever
        HfHubHTTPError,
        HFValidationError,
        HTTPError,
        LocalEntryNotFoundError,
    )

    if not fetch:
        try:
            return _cached(hub_id)
        except (HFValidationError, LocalEntryNotFoundError):
            raise ModelError(
                f"{hub_id} is no folder and not in the hub's cache; a dry run fetches nothing"
            ) from None
    try:
        try:
            # asked once: what lists a repository's tree asks again for half a minute where nobody answers
            files = model_info(hub_id).siblings or ()
            wanted = chosen([file.rfilename for file in files], patterns)
        except HFValidationError:
            raise
        except Exception as error:  # whatever the library that asks makes of no answer: it may be in the cache
            try:
                folder = _cached(hub_id)
            except LocalEntryNotFoundError:
                raise error from None
            if _lacks_weights(folder, patterns):
                raise ModelError(
                    f"only configs of {hub_id} are in the hub's cache, and its weights cannot be fetched: the hub "
                    "cannot be reached, or may not be asked (HF_HUB_OFFLINE); ask it once more, or name a folder"
                ) from error
            return folder
        return Path(snapshot_download(hub_id, allow_patterns=wanted))
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        why = (
            "it has none of that name, or keeps it to itself" if status in (401, 403, 404) else f"it said {status}"
        )
        raise ModelError(f"there is no folder {hub_id}, and the hub did not give {hub_id}: {why}") from error
    except (HFValidationError, LocalEntryNotFoundError, HTTPError, OSError) as error:
        why = reason_of(error, "it cannot be reached, or may not be asked, and it is not in the cache")
        raise ModelError(f"there is no folder {hub_id}, and the hub did not give {hub_id}: {why}") from error


def _cached(hub_id: str) -> Path:
    """The folder of a model that was fetched before; of it only some files ever are, which is no fault."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, local_files_only=True))
    except LocalEntryNotFoundError as error:
        if folder := getattr(error, "snapshot_path", None):
            return Path(folder)
        raise


def _lacks_weights(folder: Path, patterns: Sequence[str]) -> bool:
    """Whether nothing is there of the weights that patterns ask for: of some the configs alone are fetched."""
    weights = [pattern for pattern in patterns if pattern.endswith((SUFFIX, PICKLE))]
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*.*")]
    return bool(weights) and not chosen([name for name in names if name.endswith((SUFFIX, PICKLE))], weights)


def chosen(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Those of a model's files, by their names in it, that ``patterns`` ask for.

    Weights that a pattern names are taken in one file or in shards, whole or else in 16 bits, and once: as
    :func:`morph.weights.stored.stored` would read them.
    """
    names, found = sorted(names), []
    for pattern in patterns:
        for wanted in _kinds(pattern):
            matching = [name for name in names if any(fnmatch(name, each) for each in wanted)]
            found += matching
            if matching:
                break
    return list(dict.fromkeys(found))


def _kinds(pattern: str) -> Iterator[tuple[str, ...]]:
    """Patterns of files that are the same weights, the best first; the pattern itself for other files."""
    if not pattern.endswith(SUFFIX):
        yield (pattern,)
        return
    for variant in VARIANTS:
        single, *shards = spelled(pattern, variant)
        yield (single,)
        yield tuple(shards)
