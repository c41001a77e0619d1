"""Every error that Sixfold raises on purpose.

SixfoldError
├── UserError              the caller can mend it; the command line prints one line and exits with 2
│   ├── InputError         a file, line or field is wrong
│   │   └── CapacityError  it would not fit where it is to be kept
│   ├── ConfigError        an option or a field of a configuration is wrong
│   └── PrerequisiteError  something is not installed; says which command to type
└── InvariantError         a promise of ours was broken; a bug, shown with its traceback
"""

from pathlib import Path

__all__ = [
    "CapacityError",
    "ConfigError",
    "InputError",
    "InvariantError",
    "PrerequisiteError",
    "SixfoldError",
    "UserError",
    "first_line",
]


class SixfoldError(Exception):
    """The root of the tree."""


class UserError(SixfoldError):
    """Something the caller can mend. Its text is one lower-case sentence: got, expected, what to do."""


class InputError(UserError):
    """A file, a line of it or a field of it is not what it should be."""

    def __init__(
        self,
        message: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
    ) -> None:
        where = "" if path is None else f"{path}"
        if line is not None:
            where += f":{line}" if where else f"line {line}"
        if field is not None:
            where += f" [{field}]" if where else f"[{field}]"
        super().__init__(f"{where}: {message}" if where else message)
        self.path, self.line, self.field = path, line, field


class CapacityError(InputError):
    """Something would outgrow the place that is to hold it, such as a segment its shard."""


class ConfigError(UserError):
    """An option or a configuration value is out of its range or contradicts another."""


class PrerequisiteError(UserError):
    """Something is missing on this machine; the text ends with the command that mends it."""


class InvariantError(SixfoldError):
    """A promise that the code makes was broken: a bug, not a user's mistake."""


def first_line(error: BaseException) -> str:
    """What another library's error says in one line of at most 200 characters; its type if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
