"""Reading of text files: CSV, YAML, and values in messages."""
import pytest

from configs.reading import parse_yaml, read_rows, shown
from configs.resolve import parse_override, resolve


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
def test_csv_with_or_without_a_byte_order_mark_is_read(tmp_path, encoding):
    (tmp_path / 'list.csv').write_bytes('source,target\nä.jpg,b.jpg\n'.encode(encoding))
    assert read_rows(tmp_path / 'list.csv', ('source', 'target')) == [{'source': 'ä.jpg', 'target': 'b.jpg'}]


@pytest.mark.parametrize(('content', 'message'), [
    (b'source\na\n', 'needs the columns source and target in its first line and lacks target'),
    (b'source,target\na\n', 'line 2: 2 fields'),
    ('source,target\n'.encode('utf-16'), 'is not in UTF-8'),
])
def test_invalid_csv_raises_with_one_sentence(tmp_path, content, message):
    (tmp_path / 'list.csv').write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_rows(tmp_path / 'list.csv', ('source', 'target'))


@pytest.mark.parametrize(('text', 'message'), [
    ('a: &x [1, 1]\nb: [*x, *x]\n', 'aliases'),
    ('a: 1\na: 2\n', "'a' occurs twice"),
    ('1: 2\n', 'key 1 is no text'),
    ('[' * 5000 + ']' * 5000, 'nested too deeply'),
    ('!!python/object/apply:os.getcwd []', 'not readable as YAML'),
    ('!!timestamp {}', 'not readable as YAML'),
])
def test_unsupported_yaml_raises(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse_yaml(text, 'file')
    assert str(caught.value).isprintable()


def test_date_in_yaml_is_read_as_text():
    assert parse_yaml('root: 2024-05-01', 'file') == {'root': '2024-05-01'}


@pytest.mark.parametrize('value', ['.nan', '.inf', '1e400'])
def test_number_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match='finite'):
        resolve('cvae', {'size': 64}, {}, [parse_override(f'param_groups.default.lr={value}')])


def test_shown_value_is_one_short_line():
    assert shown('a\nb\x1b[2J' + 'c' * 500).isprintable() and len(shown('c' * 500)) < 200
