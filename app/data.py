"""The tab that shows a data set: people, images, what is known of them, and what a filter left out."""
from pathlib import Path

import gradio as gr

from app.networks import Networks
from app.viewing import OVERLAYS, Album, Drawn, overlaid
from app.work import PROGRESS, apart, sentences

_MATCHES, _PAGE = 200, 12  # people in the list, images at a time
_DRAWN = 'drawn faces'


def tab(networks: Networks, albums: dict[str, Album]) -> None:
    """albums: what can be looked at beside the faces that the suite draws."""
    albums = albums | {_DRAWN: Drawn()}
    first = next(iter(albums))
    with gr.Tab('Data', id='data') as here:
        with gr.Row():
            album = gr.Dropdown(list(albums), value=first, label='Data set', min_width=240, elem_id='data-album')
            search = gr.Textbox(label='Find people', placeholder='part of a name', elem_id='data-search')
            person = gr.Dropdown(_people(albums[first], ''), label='Person (images)', min_width=240, elem_id='data-person')
        summary = gr.Markdown(albums[first].summary, elem_id='data-summary')
        with gr.Row():
            overlays = gr.CheckboxGroup(list(OVERLAYS), value=[OVERLAYS[0]], label='Draw in', elem_id='data-overlays')
            page = gr.Slider(1, 2, 1, step=1, label=f'Page of {_PAGE} images', visible=False)
        gallery = gr.Gallery(label='Images', elem_id='data-gallery', columns=4, fit_columns=False, object_fit='contain',
                             interactive=False, buttons=['fullscreen'], height='auto')
        gr.Markdown('### What the filter of the caricature study drops\nBad landmarks, bad alignments and side faces: see '
                    '`python scripts/prepare_data.py webcaricature --help`.')
        with gr.Row():
            look = gr.Button('Show', elem_id='data-look', min_width=100)
            stop = gr.Button('Cancel', elem_id='data-stop', min_width=100)
        reasons = gr.Markdown('Not looked at yet.', elem_id='data-reasons')
        dropped = gr.Gallery(label='Dropped', elem_id='data-dropped', columns=4, fit_columns=False, object_fit='contain',
                             interactive=False, buttons=['fullscreen'], height='auto', visible=False)

        def listed(album: str, search: str):
            people = _people(albums[album], search)
            return albums[album].summary, gr.update(choices=people, value=people[0][1] if people else None)

        def shown(album: str, who: str | None, overlays: list[str], page: int):
            with sentences():
                if who is None:
                    raise ValueError('nobody of that name is in the data set; look for another part of a name')
                total = albums[album].people.get(who, 0)
                pages = -(-total // _PAGE)
                start = (min(page, max(pages, 1)) - 1) * _PAGE
                parser = networks.parser if 'face mask' in overlays else None
                images = [(overlaid(view, tuple(overlays), parser), _caption(view))
                            for view in albums[album].views(who, start, start + _PAGE)]
                return images, gr.update(maximum=max(pages, 2), visible=pages > 1)

        def examined(album: str, progress=PROGRESS):
            with sentences():
                for update, found in apart(lambda tell: albums[album].dropped(lambda done, total: tell((done, total)))):
                    if found is None:
                        progress(update, desc='judging', unit='images')
                        yield gr.skip(), gr.skip()
                    else:
                        rows = [f'| {reason} | {count:,} |' for reason, count in found.counts.most_common()]
                        yield ('\n'.join(['| | images |', '| --- | ---: |', *rows, '', f'By {found.source}.']),
                               gr.update(value=found.images, visible=bool(found.images)))

        view = {'fn': shown, 'inputs': [album, person, overlays, page], 'outputs': [gallery, page], 'concurrency_id': 'data',
                'concurrency_limit': 2, 'show_progress': 'minimal', 'api_visibility': 'private'}
        gr.on([album.input, search.submit], listed, [album, search], [summary, person], show_progress='hidden',
              api_visibility='private')
        gr.on([person.change, overlays.input, page.release, here.select], **view)
        event = look.click(examined, album, [reasons, dropped], concurrency_id='data', show_progress_on=reasons,
                           api_visibility='private')
        stop.click(None, cancels=[event])


def _people(album: Album, search: str) -> list[tuple[str, str]]:
    """(name with the number of images, name) of those whom the search means."""
    found = [who for who in album.people if search.strip().casefold() in who.casefold()]
    return [(f'{who} ({album.people[who]})', who) for who in found[:_MATCHES]]


def _caption(view) -> str:
    said = [Path(view.name).name]
    if view.angles is not None:
        said.append('yaw {}°, pitch {}°, roll {}°'.format(*view.angles.round().astype(int)))
    if view.verdict is not None:
        said.append(f'dropped: {view.verdict}' if view.verdict else 'kept')
    return ' · '.join(said)
