"""Seeded mutations of valid files. A mutator takes the content and a numpy Generator; equal generator states give equal bytes."""
import re
import struct

import numpy as np

MAX_FILE_BYTES = 4_000_000  # of a mutated file
_INTEGERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 1 << 24, *(2 ** bits - 1 for bits in (31, 32, 63, 64)), 1 << 31)
_NUMBERS = ('0', '-0', '-1', '1.5', '1e400', '-1e400', 'nan', '.nan', 'inf', '-.inf', '1e-400', '9' * 20, '9' * 5000, '0x',
            '1_000', '٣', '1,5', '', 'true', 'null', '~', '"7"', '2001-99-99', '1:60:60', '1e9', '-2147483649')
_WORDS = ('!!python/object/apply:os.system ["touch fuzzed"]', '!!python/name:os.system', '!!binary "/w=="', '!!timestamp x',
          '!!int x', '!!set {a, b}', '&a [*a]', '*a', '<<: *a', '{}', '[]', '{', '[', '}', ']', '"', "'", ',', ':', '- ', '|',
          '>', '%', '@', '`', '../../etc/passwd', '/dev/zero', '/dev/null', '/', '.', 'a' * 300, '\x00', '\x1b[2J', '\ufeff',
          '\u202e', '\U0001f600', '\r', '\t', '\n\n', 'ü', '\ud800', '__class__', 'None', 'self', '{0.__class__}', '%s%n')
_ENCODINGS = ('utf-16', 'utf-16-be', 'utf-32', 'utf-8-sig', 'latin-1', 'cp037')


def _span(size: int, rng: np.random.Generator, longest: int = 64) -> slice:
    start = int(rng.integers(size + 1))
    return slice(start, min(size, start + 1 + int(rng.integers(longest))))


def flip_bits(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip 1 to 16 bits."""
    array = np.frombuffer(data, np.uint8).copy()
    for position in rng.integers(len(array), size=int(rng.integers(1, 17))) if len(array) else ():
        array[position] ^= 1 << int(rng.integers(8))
    return array.tobytes()


def edit_header(data: bytes, rng: np.random.Generator) -> bytes:
    """Replace 1 to 4 of the first 64 bytes."""
    array = np.frombuffer(data, np.uint8).copy()
    for position in rng.integers(min(64, len(array)), size=int(rng.integers(1, 5))) if len(array) else ():
        array[position] = rng.integers(256)
    return array.tobytes()


def write_integer(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite bytes by an integer at a limit of its type, in either byte order; mostly in the header, which holds sizes."""
    value, form = int(rng.choice(np.array(_INTEGERS, object))), str(rng.choice(list('BHIQ')))
    number = struct.pack(f'{rng.choice(["<", ">"])}{form}', value % (1 << 8 * struct.calcsize(form)))
    start = int(rng.integers(max(1, min(len(data), 256 if rng.random() < 0.7 else len(data)))))
    return data[:start] + number + data[start + len(number):]


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """Remove the end."""
    return data[:int(rng.integers(len(data) + 1))]


def drop(data: bytes, rng: np.random.Generator) -> bytes:
    """Remove bytes inside."""
    span = _span(len(data), rng, 1 + len(data) // 4)
    return data[:span.start] + data[span.stop:]


def duplicate(data: bytes, rng: np.random.Generator) -> bytes:
    """Repeat some bytes."""
    span = _span(len(data), rng, 1 + len(data) // 8)
    times = min(int(rng.choice([2, 3, 100])), 1 + MAX_FILE_BYTES // max(1, span.stop - span.start))
    return data[:span.start] + data[span] * times + data[span.stop:]


def splice(data: bytes, rng: np.random.Generator) -> bytes:
    """Join the start of the file and another part of it."""
    return data[:int(rng.integers(len(data) + 1))] + data[int(rng.integers(len(data) + 1)):]


def fill(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrite bytes by zeros, ones or noise."""
    span = _span(len(data), rng, 1 + len(data) // 8)
    size = span.stop - span.start
    content = rng.bytes(size) if rng.random() < 0.5 else bytes([int(rng.choice([0, 255]))]) * size
    return data[:span.start] + content + data[span.stop:]


def insert(data: bytes, rng: np.random.Generator) -> bytes:
    """Insert noise."""
    start = int(rng.integers(len(data) + 1))
    return data[:start] + rng.bytes(1 + int(rng.integers(64))) + data[start:]


def replace_number(data: bytes, rng: np.random.Generator) -> bytes:
    """Replace a number of a text."""
    numbers = list(re.finditer(rb'-?\d+(\.\d+)?(e-?\d+)?', data))
    if not numbers:
        return insert_word(data, rng)
    match = numbers[int(rng.integers(len(numbers)))]
    return data[:match.start()] + str(rng.choice(_NUMBERS)).encode() + data[match.end():]


def insert_word(data: bytes, rng: np.random.Generator) -> bytes:
    """Insert, or substitute for another word, a word that is special to a parser."""
    words = list(re.finditer(rb'[\w./-]+', data)) or [re.match(b'', data)]
    match = words[int(rng.integers(len(words)))]
    word = _WORDS[int(rng.integers(len(_WORDS)))].encode(errors='surrogatepass')
    return data[:match.start()] + word + data[match.end() if rng.random() < 0.7 else match.start():]


def move_line(data: bytes, rng: np.random.Generator) -> bytes:
    """Remove, repeat, move or indent a line."""
    lines = data.splitlines(keepends=True) or [b'']
    line = lines.pop(int(rng.integers(len(lines))))
    for content in ([], [line, line], [line], [b'  ' + line])[int(rng.integers(4))]:
        lines.insert(int(rng.integers(len(lines) + 1)), content)
    return b''.join(lines)


def nest(data: bytes, rng: np.random.Generator) -> bytes:
    """Insert nested brackets, 100 to 100,000 deep."""
    left, right = ((b'[', b']'), (b'{a: ', b'}'), (b'{"a":', b'}'))[int(rng.integers(3))]
    depth = int(rng.choice([100, 1000, 100_000]))
    start = int(rng.integers(len(data) + 1))
    return data[:start] + left * depth + right * depth + data[start:]


def recode(data: bytes, rng: np.random.Generator) -> bytes:
    """Change the encoding or the line ends."""
    if rng.random() < 0.3:
        return data.replace(b'\n', [b'\r', b'\r\n', b'\x00', b'\xe2\x80\xa8'][int(rng.integers(4))])
    return data.decode(errors='replace').encode(str(rng.choice(_ENCODINGS)), errors='replace')


BINARY = (flip_bits, edit_header, write_integer, cut, drop, duplicate, splice, fill, insert)
TEXT = (replace_number, insert_word, move_line, nest, recode, flip_bits, cut, drop, duplicate, insert)


def mutate(data: bytes, rng: np.random.Generator, mutators: tuple = BINARY) -> bytes:
    """`data` after one to three of the mutators."""
    for _ in range(int(rng.integers(1, 4))):
        data = mutators[int(rng.integers(len(mutators)))](data, rng)[:MAX_FILE_BYTES]
    return data
