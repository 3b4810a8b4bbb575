"""Every error that morph raises on purpose, as one tree.

    MorphError                exit code 1: something failed while working
    ├── InputError            exit code 2: what the user gave cannot be used
    │   ├── KeyframeError     an image that cannot be read or prepared
    │   ├── SettingsError     an option, preset or key that does not exist or is out of range
    │   │   └── ManifestError a manifest; one line for each thing that is wrong
    │   ├── ExistsError       finished work of something else where an output goes
    │   └── ModelError        weights that are missing, damaged or of an unsupported kind
    └── EncodeError           ffmpeg failed; carries its last lines

A message is one line: what was wrong, where, and what to do about it.
"""


class MorphError(Exception):
    """Base of the tree. ``exit_code`` is what the command line returns."""

    exit_code = 1

    def __str__(self) -> str:
        """The message; what nobody sees, or a terminal obeys, is written out, as names in files may hold it."""
        text = super().__str__()
        return "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)


class InputError(MorphError):
    """Something the user gave cannot be used."""

    exit_code = 2


class KeyframeError(InputError):
    """An image that cannot be read or prepared."""


class SettingsError(InputError):
    """An option, preset or key that does not exist or is out of range."""


class ManifestError(SettingsError):
    """A manifest that cannot be used; the message has one line for each thing that is wrong."""


class ExistsError(InputError):
    """An output's name is taken by finished work of something else, and nobody said that it may be replaced."""


class ModelError(InputError):
    """Model weights that are missing, damaged or of an unsupported kind."""


class EncodeError(MorphError):
    """The encoder failed; the message carries its last lines."""


def reason_of(error: Exception, otherwise: str) -> str:
    """What the system says of a fault, for people; ``otherwise`` where only Python or a library would speak."""
    return error.strerror if isinstance(error, OSError) and error.strerror else otherwise
