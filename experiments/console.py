"""Terminals."""
import sys


def escape_unprintable() -> None:
    """Let names that the encoding of stdout or stderr lacks be printed with escapes (\\u3042) instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):  # replaced streams have their own rules
            stream.reconfigure(errors='backslashreplace')
