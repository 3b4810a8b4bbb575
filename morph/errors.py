"""Every error that morph raises on purpose, as one tree.

    MorphError                exit code 1: something failed while working
    ├── InputError            exit code 2: what the user gave cannot be used
    │   ├── KeyframeError     an image that cannot be read or prepared
    │   ├── SettingsError     an option, preset or key that does not exist or is out of range
    │   │   └── ManifestError what is wrong with a list of clips, one line for each
    │   └── ModelError        weights that are missing, damaged or of an unsupported kind
    └── EncodeError           ffmpeg failed; carries its last lines

A message is one line: what was wrong, where, and what to do about it. A ManifestError has one for each error.
"""


class MorphError(Exception):
    """Base of the tree. ``exit_code`` is what the command line returns."""

    exit_code = 1


class InputError(MorphError):
    """Something the user gave cannot be used."""

    exit_code = 2


class KeyframeError(InputError):
    """An image that cannot be read or prepared."""


class SettingsError(InputError):
    """An option, preset or key that does not exist or is out of range."""


class ManifestError(SettingsError):
    """Everything that is wrong with a manifest, one line each: ``path:line: what, what to do``."""


class ModelError(InputError):
    """Model weights that are missing, damaged or of an unsupported kind."""


class EncodeError(MorphError):
    """The encoder failed; the message carries its last lines."""
