"""Tab for translation between photos and drawings."""
from collections.abc import Callable, Iterator

import gradio as gr

from app.images import download, upload
from app.networks import Networks
from app.selection import selected_weights, weights_dropdowns
from app.tasks import NETWORK_QUEUE, PROGRESS, Update, run_in_thread, user_messages
from models.image_io import Photo
from models.pipelines.io.provenance import COMPOSITE_MEDIA, GENERATED_MEDIA, GenerationInfo
from models.pipelines.translate import FaceTranslator

_MAX_STYLES = 6
_MAX_SEED = 2 ** 31 - 1
_DIRECTIONS = {'a2b': 'photo to drawing', 'b2a': 'drawing to photo'}


def tab(networks: Networks) -> None:
    """Add the tab to the page under construction."""
    with gr.Tab('Translate', id='translate') as this_tab:
        with gr.Row():
            image = upload('Image', 'translate-image')
            reference = upload('Style reference (optional, for families that use one)', 'translate-reference')
        with gr.Row():
            family, weights = weights_dropdowns(networks.translators, this_tab, 'translate')
            direction = gr.Radio([(title, name) for name, title in _DIRECTIONS.items()], value='a2b', label='Direction')
        with gr.Row():
            styles = gr.Slider(1, _MAX_STYLES, 1, step=1, label='Number of styles', min_width=240, elem_id='translate-styles')
            style = gr.Number(0, precision=0, minimum=0, maximum=_MAX_SEED - _MAX_STYLES, label='Seed of the first style')
            aligned = gr.Checkbox(False, label='The image is an aligned face', elem_id='translate-aligned')
            paste = gr.Checkbox(False, label='Paste the face into the image')
        with gr.Row():
            start = gr.Button('Translate', variant='primary', elem_id='translate-start', min_width=100)
            cancel = gr.Button('Cancel', elem_id='translate-cancel', min_width=100)
        gallery = gr.Gallery(label='Translations', elem_id='translate-gallery', columns=3, fit_columns=False,
                             object_fit='contain', interactive=False, buttons=['download', 'fullscreen'])
        notes = gr.Markdown(elem_id='translate-notes')

        def translate(image: Photo | None, reference: Photo | None, family: str | None, name: str | None, direction: str,
                      styles: int, style: int, aligned: bool, paste: bool, progress: gr.Progress = PROGRESS) -> Iterator[tuple]:
            with user_messages():
                if image is None:
                    raise ValueError('an image is needed: upload one or take one with the camera')
                choice, folder = selected_weights(networks.translators(), family, name, 'cyclegan'), gallery.GRADIO_CACHE

                def work(report: Callable[[list[tuple[str, str]]], None]) -> tuple[list[tuple[str, str]], str | None]:
                    """(file, title) of each translation, and a note on the reference; the files so far are reported."""
                    report([])
                    network, perception = networks.translator(choice)
                    translator = FaceTranslator(network, networks.detector, direction, parser=perception.parser,
                                                device=networks.device)
                    translator.check(styles, reference is not None)
                    aligned_reference = None if reference is None else translator.align_image(reference.rgb)
                    info = GenerationInfo.of(choice.family, choice.files, translator.description,
                                             COMPOSITE_MEDIA if paste else GENERATED_MEDIA)
                    files: list[tuple[str, str]] = []
                    for seed in range(style, style + styles):
                        result = translator.translate_image(image.rgb, aligned=aligned, style=seed, reference=aligned_reference,
                                                            paste=paste)
                        translation = image.with_rgb(result.pasted[0]) if paste else result.faces[0].translations[0]
                        title = f'style {seed}' if styles > 1 else 'translation'
                        files.append((download(translation, f'{title}.png'.replace(' ', '-'), info, folder), title))
                        report(list(files))
                    return files, aligned_reference.note if aligned_reference else None

                for event in run_in_thread(work):
                    if isinstance(event, Update):
                        progress((len(event.value), styles), desc='translating', unit='styles')
                        yield event.value or gr.skip(), gr.skip()
                    else:
                        files, note = event.value
                        yield files, f'Reference: {note}' if note else ''

        run = start.click(translate, [image, reference, family, weights, direction, styles, style, aligned, paste],
                          [gallery, notes], concurrency_id=NETWORK_QUEUE, concurrency_limit=1, show_progress_on=gallery,
                          api_visibility='private')
        cancel.click(None, cancels=[run])
