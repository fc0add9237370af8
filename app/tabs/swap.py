"""Tab for face swapping of photos."""
from collections.abc import Callable, Iterator

import gradio as gr

from app.images import download, upload
from app.networks import Networks
from app.selection import selected_weights, weights_dropdowns
from app.tasks import NETWORK_QUEUE, PROGRESS, Update, run_in_thread, user_messages
from models.image_io import Photo
from models.pipelines.io.provenance import GenerationInfo
from models.pipelines.io.visible_label import with_visible_label
from models.pipelines.photo import ALL, LARGEST, SWAP_DESCRIPTION
from models.registry import SWAPPER


def tab(networks: Networks) -> None:
    """Add the tab to the page under construction."""
    with gr.Tab('Swap', id='swap') as this_tab:
        with gr.Row():
            source = upload('Source: photo with the face to use', 'swap-source')
            target = upload('Target: photo in which the face is replaced', 'swap-target')
        with gr.Row():
            family, weights = weights_dropdowns(networks.swappers, this_tab, 'swap')
            faces = gr.Radio([('the largest face', LARGEST), ('all faces', ALL)], value=LARGEST, label='Faces to replace')
        with gr.Row():
            color = gr.Checkbox(True, label='Match the colors of the target')
            label = gr.Checkbox(False, label='Write "face swapped" into the image')
        with gr.Row():
            start = gr.Button('Swap', variant='primary', elem_id='swap-start', min_width=100)
            cancel = gr.Button('Cancel', elem_id='swap-cancel', min_width=100)
        comparison = gr.ImageSlider(label='Before and after (drag the divider)', elem_id='swap-comparison',
                                    buttons=['fullscreen'], interactive=False, max_height=640)
        notes = gr.Markdown(elem_id='swap-notes')
        file = gr.DownloadButton('Download', elem_id='swap-download', interactive=False)

        def swap(source: Photo | None, target: Photo | None, family: str | None, name: str | None, faces: str, color: bool,
                 label: bool, progress: gr.Progress = PROGRESS) -> Iterator[tuple]:
            with user_messages():
                if source is None or target is None:
                    raise ValueError('two images are needed: a source, whose face is used, and a target, in which it is placed')
                choice, folder = selected_weights(networks.swappers(), family, name, SWAPPER), comparison.GRADIO_CACHE

                def work(report: Callable[[tuple[float, str]], None]) -> tuple[str, str, list[str]]:
                    """Files of the target and of the swap, and notes."""
                    report((0.1, 'loading the networks'))
                    swapper = networks.swapper(choice, color)
                    report((0.4, 'detecting and swapping faces'))
                    result = swapper.swap(source.rgb, target.rgb, source_face=LARGEST, target_face=faces)
                    photo = target.with_rgb(result.image)
                    photo = photo.with_rgb(with_visible_label(photo.rgb), opaque=True) if label else photo
                    report((0.8, 'signing'))
                    after = download(photo, 'swap.png', GenerationInfo.of(choice.family, choice.files, SWAP_DESCRIPTION), folder)
                    return download(target, 'before.png', None, folder), after, [*target.notes, *result.notes]

                for event in run_in_thread(work):
                    if isinstance(event, Update):
                        progress(*event.value)
                        yield gr.skip(), gr.skip(), gr.skip()
                    else:
                        before, after, texts = event.value
                        yield (before, after), '\n'.join(f'- {note}' for note in texts), gr.update(value=after, interactive=True)

        run = start.click(swap, [source, target, family, weights, faces, color, label], [comparison, notes, file],
                          concurrency_id=NETWORK_QUEUE, concurrency_limit=1, show_progress_on=comparison,
                          api_visibility='private')
        cancel.click(None, cancels=[run])
