"""Tab for browsing data sets: identities, images with annotations, and the images that a filter removes."""
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from app.albums import Album, Removed, RenderedAlbum
from app.networks import Networks
from app.tasks import PROGRESS, Update, run_in_thread, user_messages
from app.views import FACE_MASK, OVERLAYS, View, render_view

_MAX_LISTED_IDENTITIES, _IMAGES_PER_PAGE = 200, 12
_RENDERED = 'rendered faces'


def tab(networks: Networks, albums: dict[str, Album]) -> None:
    """Add the tab to the page under construction. albums: data sets by name; the rendered faces are added."""
    albums = albums | {_RENDERED: RenderedAlbum()}
    first = next(iter(albums))
    with gr.Tab('Data', id='data') as this_tab:
        with gr.Row():
            album = gr.Dropdown(list(albums), value=first, label='Data set', min_width=240, elem_id='data-album')
            search = gr.Textbox(label='Search identities', placeholder='part of a name', elem_id='data-search')
            identity = gr.Dropdown(_identities(albums[first], ''), label='Identity (number of images)', min_width=240,
                                   elem_id='data-identity')
        summary = gr.Markdown(albums[first].summary, elem_id='data-summary')
        with gr.Row():
            overlays = gr.CheckboxGroup(list(OVERLAYS), value=[OVERLAYS[0]], label='Overlays', elem_id='data-overlays')
            page = gr.Slider(1, 2, 1, step=1, label=f'Page ({_IMAGES_PER_PAGE} images each)', visible=False)
        gallery = _gallery('Images', 'data-gallery', visible=True)
        gr.Markdown('### Images removed by the filter of the caricature study\nImages with misplaced landmarks, poor alignment '
                    'or a side view: see `python scripts/prepare_data.py webcaricature --help`.')
        with gr.Row():
            start = gr.Button('Run the filter', elem_id='data-filter', min_width=100)
            cancel = gr.Button('Cancel', elem_id='data-cancel', min_width=100)
        reasons = gr.Markdown('The filter has not been run yet.', elem_id='data-reasons')
        removed_gallery = _gallery('Removed images', 'data-removed', visible=False)

        def list_identities(album: str, search: str) -> tuple[str, dict[str, Any]]:
            identities = _identities(albums[album], search)
            return albums[album].summary, gr.update(choices=identities, value=identities[0][1] if identities else None)

        def show_images(album: str, identity: str | None, overlays: list[str],
                        page: int) -> tuple[list[tuple[np.ndarray, str]], dict[str, Any]]:
            with user_messages():
                if identity is None:
                    raise ValueError('no identity of that name is in the data set; search for another part of a name')
                pages = -(-albums[album].identities.get(identity, 0) // _IMAGES_PER_PAGE)
                start = (min(page, max(pages, 1)) - 1) * _IMAGES_PER_PAGE
                parser = networks.parser if FACE_MASK in overlays else None
                images = [(render_view(view, tuple(overlays), parser), _caption(view))
                          for view in albums[album].views(identity, start, start + _IMAGES_PER_PAGE)]
                return images, gr.update(maximum=max(pages, 2), visible=pages > 1)

        def run_filter(album: str, progress: gr.Progress = PROGRESS) -> Iterator[tuple]:
            def work(report: Callable[[tuple[int, int]], None]) -> Removed:
                return albums[album].removed(lambda done, total: report((done, total)))

            with user_messages():
                for event in run_in_thread(work):
                    if isinstance(event, Update):
                        progress(event.value, desc='filtering', unit='images')
                        yield gr.skip(), gr.skip()
                    else:
                        removed = event.value
                        rows = [f'| {reason} | {count:,} |' for reason, count in removed.counts.most_common()]
                        yield ('\n'.join(['| | images |', '| --- | ---: |', *rows, '', f'Source: {removed.source}.']),
                               gr.update(value=removed.images, visible=bool(removed.images)))

        gr.on([album.input, search.submit], list_identities, [album, search], [summary, identity], show_progress='hidden',
              api_visibility='private')
        gr.on([identity.change, overlays.input, page.release, this_tab.select], show_images, [album, identity, overlays, page],
              [gallery, page], concurrency_id='data', concurrency_limit=2, show_progress='minimal', api_visibility='private')
        run = start.click(run_filter, album, [reasons, removed_gallery], concurrency_id='data', show_progress_on=reasons,
                          api_visibility='private')
        cancel.click(None, cancels=[run])


def _gallery(label: str, elem_id: str, *, visible: bool) -> gr.Gallery:
    return gr.Gallery(label=label, elem_id=elem_id, columns=4, fit_columns=False, object_fit='contain', interactive=False,
                      buttons=['fullscreen'], height='auto', visible=visible)


def _identities(album: Album, search: str) -> list[tuple[str, str]]:
    """(name with the number of images, name) of the identities whose name contains the search text."""
    names = [name for name in album.identities if search.strip().casefold() in name.casefold()]
    return [(f'{name} ({album.identities[name]})', name) for name in names[:_MAX_LISTED_IDENTITIES]]


def _caption(view: View) -> str:
    parts = [Path(view.name).name]
    if view.angles is not None:
        parts.append('yaw {}°, pitch {}°, roll {}°'.format(*view.angles.round().astype(int)))
    if view.removal_reason is not None:
        parts.append(f'removed: {view.removal_reason}' if view.removal_reason else 'kept')
    return ' · '.join(parts)
