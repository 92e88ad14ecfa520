"""What users of the page can do about files that commands refuse.

The commands' messages end with options of theirs, which a page does not have.
"""

_OPTION = "--config."
_INSTEAD = (
    ("--config.snap", "keep one of them"),
    ("--config.size", "leave it out"),
    ("--config.grid", "leave it out"),
    ("--config.variable", "keep one column of values"),
    ("image.png,mask.png", "choose or drop its mask together with it, white = known"),
    ("--config.data.levels", "save it with 8 bits"),
    ("colorize.py:hints", "remove the hints"),
)
"""What a remedy names, and the remedy on the page."""


def for_page(line: str) -> str:
    """Return the message of a command with a remedy that the page has.

    A remedy follows the last colon. One that names no option stays, and one that names
    an unknown option is left out.
    """
    reason, colon, remedy = line.rpartition(": ")
    for named, instead in _INSTEAD:
        if named in remedy:
            return f"{reason}{colon}{instead}"
    return reason if colon and _OPTION in remedy else line
