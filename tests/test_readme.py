"""Python example, links and commands of the README."""
import re
from pathlib import Path

import pytest

from models.pipelines.demo import demo_photo
from models.pipelines.io.images import write_image

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / 'README.md').read_text(encoding='utf-8')


def test_the_python_example_swaps_a_face(tmp_path, monkeypatch, capsys):
    for name, photo in (('a.jpg', 'portrait'), ('b.jpg', 'astronaut')):
        write_image(tmp_path / name, demo_photo(photo))
    monkeypatch.chdir(tmp_path)
    exec(re.search(r'```python\n(.*?)```', README, re.S).group(1), {})
    assert ', 3)' in capsys.readouterr().out


@pytest.mark.parametrize('link', re.findall(r'\]\(([^)#:]+)\)', README))
def test_links_lead_to_files(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize('script', sorted(set(re.findall(r'scripts/\w+\.py', README))))
def test_commands_exist(script):
    assert (ROOT / script).is_file()
