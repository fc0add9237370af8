"""Combinations of options that scripts/swap.py refuses."""
import pytest


@pytest.mark.parametrize('arguments, message', [
    ([], 'give --demo, or --source'),
    (['--demo', '--source', 'a.png', '--target', 'b.png'], 'give --demo, or --source'),
    (['--source', 'a.png'], 'give --demo, or --source'),
    (['--pairs', 'a.csv'], '--root'),
    (['--demo', '--family', 'unheard-of'], 'cvae'),
    (['--demo', '--like', 'a.png'], '--source'),
    (['--demo', '--parsing-mask'], '--parsing-mask requires'),
    (['--weights', 'simswap-224', '--pairs', 'a.csv', '--root', '.', '-o', 'out'], 'crops faces from photos itself'),
])
def test_contradictory_options_are_refused(run, arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2 and message in capsys.readouterr().err.splitlines()[-1]
