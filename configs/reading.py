"""Text files: UTF-8 with or without a byte order mark, YAML, CSV and JSON. Errors are ValueErrors of one printable sentence."""
import csv
import json
from pathlib import Path
from typing import Any

import yaml

MAX_BYTES = 256 << 20  # size of a text file; the longest list of a published data set has 26 MB
MAX_CHARS = 120  # length of a value in a message


def shown(value: object, length: int = MAX_CHARS) -> str:
    """A value for a message: one line of at most `length` characters, without control characters."""
    text = ' '.join(''.join(c if c.isprintable() else f'\\x{ord(c):02x}' for c in ' '.join(str(value).split())).split())
    return text if len(text) <= length else f'{text[:length]}...'


def read_text(path: str | Path) -> str:
    """The content of a text file. ValueError where it is missing, larger than MAX_BYTES or not in UTF-8."""
    path = Path(path)
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise ValueError(f'{path} has more than {MAX_BYTES >> 20} MB, too much for a text file; give another one')
        return path.read_text(encoding='utf-8-sig')
    except OSError as error:
        raise ValueError(f'{shown(path, 1000)} cannot be read ({error.strerror}); give a text file') from error
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not in UTF-8 ({error.reason} at byte {error.start}); save it in that encoding') from error


class _Loader(yaml.SafeLoader):
    """YAML loader of scalars, lists, and mappings with unique text keys. Aliases are refused, since nested ones can expand to
    more than the available memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError('aliases (*name) are not supported')
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep=True)
        not_text = [key for key in mapping if not isinstance(key, str)]
        if not_text:
            raise yaml.YAMLError(f'the key {not_text[0]!r} is no text; put it in quotes')
        if len(mapping) < len(node.value):
            names = [key.value for key, _ in node.value]
            raise yaml.YAMLError(f'the key {next(name for name in names if names.count(name) > 1)!r} occurs twice')
        return mapping


_Loader.yaml_constructors = {tag: construct for tag, construct in yaml.SafeLoader.yaml_constructors.items()
                             if tag is None or tag.rpartition(':')[2] in ('null', 'bool', 'int', 'float', 'str', 'seq', 'map')}
_Loader.yaml_constructors['tag:yaml.org,2002:timestamp'] = yaml.SafeLoader.construct_yaml_str


def parse_yaml(text: str, name: str | Path) -> Any:
    """The only document of a YAML text. ValueError where it cannot be read. name: of the text, for messages."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506, a SafeLoader
    except RecursionError as error:
        raise ValueError(f'{name} is not readable as YAML: it is nested too deeply') from error
    except Exception as error:  # PyYAML's constructors raise ValueError, KeyError, AttributeError, ... for malformed scalars
        raise ValueError(f'{name} is not readable as YAML: {shown(error, 300)}') from error


def parse_json(text: str, name: str | Path) -> Any:
    """The value of a JSON text. ValueError where it cannot be read. name: of the text, for messages."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{name} is not readable as JSON: {shown(error)}') from error


def read_rows(path: str | Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a CSV file as dicts with the keys of its first line. ValueError where that line lacks one of `columns`, or
    a row a field."""
    try:
        reader = csv.DictReader(read_text(path).splitlines(keepends=True), strict=True)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f'{path} needs the columns {" and ".join(columns)} in its first line and lacks {", ".join(missing)}')
        rows = []
        for row in reader:
            if any(row[name] is None for name in columns) or None in row:
                raise ValueError(f'{path}, line {reader.line_num}: {len(reader.fieldnames or ())} fields are expected')
            rows.append(row)
        return rows
    except csv.Error as error:
        raise ValueError(f'{path} is not readable as CSV: {shown(error)}') from error


def listed_file(listing: Path, name: str) -> Path:
    """The path of a file that a list names, relative to the folder of the list. ValueError where it does not exist."""
    path = listing.parent / name
    try:
        if path.is_file():
            return path
    except (OSError, ValueError):  # a name that the file system refuses
        pass
    raise ValueError(f'{listing} names {shown(name)}, which is no file; write paths relative to the list')


def named_yaml(name: str, folder: Path, kind: str) -> tuple[Path, Any]:
    """Path and content of a YAML file.

    Args:
        name: name of a file in `folder` without .yaml, or path of a file.
        folder: folder of the files that are selected by name.
        kind: noun of the message, such as 'preset'.

    Raises:
        ValueError: there is no such file, or it is not readable as YAML.
    """
    named = folder / f'{name}.yaml'
    path = named if named.is_file() else Path(name)
    if not path.is_file():
        names = ', '.join(sorted(file.stem for file in folder.glob('*.yaml'))) or 'none'
        raise ValueError(f'there is no {kind} {shown(repr(name))}; give the path of a YAML file or one of: {names}')
    return path, parse_yaml(read_text(path), path)
