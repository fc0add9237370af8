"""Options of scripts/swap.py: refused combinations, former names."""
import pytest

from scripts import swap


@pytest.mark.parametrize('arguments, message', [
    ([], 'give --demo, or --source'),
    (['--demo', '--source', 'a.png', '--target', 'b.png'], 'give --demo, or --source'),
    (['--source', 'a.png'], 'give --demo, or --source'),
    (['--pairs', 'a.csv'], '--root'),
    (['--demo', '--family', 'unheard-of'], 'cvae'),
    (['--demo', '--reference', 'a.png'], '--source'),
    (['--demo', '--parsing-mask'], '--parsing-mask requires'),
    (['--weights', 'simswap-224', '--pairs', 'a.csv', '--root', '.', '-o', 'out'], 'crops faces from photos itself'),
])
def test_contradictory_options_are_refused(run, arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2 and message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize('former, name', [('--people', 'identities'), ('--like', 'reference')])
def test_former_option_is_stored_with_a_note(former, name, capsys):
    source = [] if former == '--people' else ['--source', 'b.png']
    args = swap.parse([former, 'a.png', *source, '--target', 'c.png', '-o', 'd.png'])
    assert str(getattr(args, name)) == 'a.png'
    assert capsys.readouterr().err == f'note: the option {former} is now called --{name}\n'


def test_former_flag_is_set_with_a_note(capsys):
    arguments = '--source', 'a.png', '--target', 'b.png'
    assert not swap.parse([*arguments]).no_color
    assert swap.parse([*arguments, '--no-colour']).no_color
    assert capsys.readouterr().err == 'note: the option --no-colour is now called --no-color\n'
