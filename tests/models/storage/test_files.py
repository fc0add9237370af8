"""Atomic writing: error messages, cleanup, reserved space."""
import errno
import os
import subprocess
import sys

import numpy as np
import pytest

from models.storage import files
from models.storage.files import SpaceError, WriteError, check_writable, create_array, replacing, reserve, sweep, write_bytes


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    result = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', tmp_path], capture_output=True)
    if result.returncode:
        pytest.skip('mounting a file system requires root')
    yield tmp_path
    subprocess.run(['umount', tmp_path], check=True)


def test_failed_write_keeps_the_old_content_and_leaves_no_file(tmp_path):
    path = tmp_path / 'a.bin'
    write_bytes(path, b'old')
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_bytes(b'new')
        raise RuntimeError
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['a.bin']


def test_full_disk_raises_one_sentence(small_disk):
    path = small_disk / 'a.bin'
    with pytest.raises(WriteError, match=r'a\.bin cannot be written: the disk is full; free some space'):
        write_bytes(path, bytes(2_000_000))
    assert os.listdir(small_disk) == []


def test_array_above_the_free_space_raises_before_writing(small_disk):
    with pytest.raises(SpaceError, match=r'needs 4 MB and 1 MB are free; free some space'):
        create_array(small_disk / 'a.npy', np.uint8, (4_000_000,))
    array = create_array(small_disk / 'a.npy', np.uint8, (1000, 500))
    with pytest.raises(WriteError):
        write_bytes(small_disk / 'b.bin', bytes(700_000))
    array[:] = 7  # a SIGBUS if blocks are not allocated
    array.flush()
    assert (np.load(small_disk / 'a.npy') == 7).all()


def test_created_array_equals_that_of_numpy(tmp_path):
    create_array(tmp_path / 'a.npy', np.float32, (3, 5)).flush()
    np.save(tmp_path / 'b.npy', np.zeros((3, 5), np.float32))
    assert (tmp_path / 'a.npy').read_bytes() == (tmp_path / 'b.npy').read_bytes()


@pytest.mark.parametrize('code', [errno.EOPNOTSUPP, errno.EINVAL])
def test_reserve_without_fallocate(tmp_path, monkeypatch, code):
    def unsupported(*_):
        raise OSError(code, 'not supported')

    monkeypatch.setattr(os, 'posix_fallocate', unsupported)
    (tmp_path / 'a').write_bytes(b'abc')
    reserve(tmp_path / 'a', 3_000_000)
    assert (tmp_path / 'a').read_bytes() == b'abc' + bytes(2_999_997)


def test_names_of_full_length_can_be_written(tmp_path):
    for name in ('x' * 251 + '.png', '写' * 83 + '.png'):
        write_bytes(tmp_path / name, b'1')
        assert (tmp_path / name).read_bytes() == b'1'


def test_check_writable_raises_for_invalid_paths(tmp_path):
    with pytest.raises(WriteError, match='the file name is too long; give a shorter one'):
        check_writable(tmp_path / ('x' * 256))
    with pytest.raises(WriteError, match='it is a folder; give the path of a file'):
        check_writable(tmp_path)
    (tmp_path / 'file').write_bytes(b'')
    with pytest.raises(WriteError, match='a part of the path is a file'):
        check_writable(tmp_path / 'file' / 'a')
    check_writable(tmp_path / 'new' / 'a')
    assert os.listdir(tmp_path / 'new') == []


def test_check_writable_raises_for_a_full_disk(small_disk):
    with pytest.raises(WriteError):
        write_bytes(small_disk / 'a', bytes(2_000_000))
    (small_disk / 'filler').touch()
    with pytest.raises(OSError), open(small_disk / 'filler', 'wb') as handle:
        handle.write(bytes(2_000_000))
    with pytest.raises(WriteError, match='the disk is full'):
        check_writable(small_disk / 'b')


def test_sweep_removes_temporary_files_of_ended_processes(tmp_path):
    code = ('import sys, os; from pathlib import Path; from models.storage.files import temporary_path\n'
            'path = temporary_path(Path(sys.argv[1])); path.write_bytes(b"half"); print(path, flush=True)\n'
            'if len(sys.argv) > 2: sys.stdin.read()')
    ended = subprocess.check_output([sys.executable, '-c', code, tmp_path / 'a'], text=True).strip()
    with subprocess.Popen([sys.executable, '-c', code, tmp_path / 'b', 'wait'], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as running:
        of_running = running.stdout.readline().strip()
        of_this = files.temporary_path(tmp_path / 'c')
        of_this.write_bytes(b'')
        (tmp_path / '.settings.tmp').write_bytes(b'')
        assert [str(path) for path in sweep(tmp_path)] == [ended]
        assert {str(path) for path in tmp_path.iterdir()} == {of_running, str(of_this), str(tmp_path / '.settings.tmp')}
        running.stdin.close()


def test_sweep_keeps_temporary_files_of_another_machine_for_a_day(tmp_path):
    path = tmp_path / '.a.00000000-1.tmp'
    path.write_bytes(b'')
    assert sweep(tmp_path) == []
    os.utime(path, (0, 0))
    assert sweep(tmp_path) == [path]


def test_temporary_names_use_the_encoding_of_the_file_system(tmp_path):
    code = ('import os, sys; from models.storage.files import write_bytes\n'
            'write_bytes(os.fsdecode(os.fsencode(sys.argv[1]) + bytes([47, 0xE3, 0x81, 0x82])), bytes(1))')
    environment = {**os.environ, 'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}
    subprocess.run([sys.executable, '-c', code, tmp_path], check=True, env=environment)
    assert os.listdir(tmp_path) == ['\u3042']
