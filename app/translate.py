"""The tab that makes drawings of photos, and photos of drawings."""
import gradio as gr

from app.choice import chosen, family_and_weights
from app.images import download, upload
from app.networks import Networks
from app.work import NETWORKS, PROGRESS, apart, sentences
from models.pipelines.io.provenance import COMPOSITE_MEDIA, GENERATED_MEDIA, GenerationInfo
from models.pipelines.translate import FaceTranslator

_STYLES = 6  # most at a time
_DIRECTIONS = {'a2b': 'photo to drawing', 'b2a': 'drawing to photo'}


def tab(networks: Networks) -> None:
    with gr.Tab('Translate', id='translate') as here:
        with gr.Row():
            image = upload('Image', 'translate-image')
            reference = upload('Reference: gives the style, where the family takes one', 'translate-reference')
        with gr.Row():
            family, weights = family_and_weights(networks.translators, here, 'translate')
            direction = gr.Radio([(title, name) for name, title in _DIRECTIONS.items()], value='a2b', label='Direction')
        with gr.Row():
            styles = gr.Slider(1, _STYLES, 1, step=1, label='Styles', min_width=240, elem_id='translate-styles')
            style = gr.Number(0, precision=0, minimum=0, maximum=2 ** 31 - 1 - _STYLES, label='Number of the first style')
            aligned = gr.Checkbox(False, label='The image is a face already', elem_id='translate-aligned')
            paste = gr.Checkbox(False, label='Put it into the image')
        with gr.Row():
            go = gr.Button('Translate', variant='primary', elem_id='translate-go', min_width=100)
            stop = gr.Button('Cancel', elem_id='translate-stop', min_width=100)
        gallery = gr.Gallery(label='Translations', elem_id='translate-gallery', columns=3, fit_columns=False,
                             object_fit='contain', interactive=False, buttons=['download', 'fullscreen'])
        notes = gr.Markdown(elem_id='translate-notes')

        def translate(image, reference, family, name, direction, styles, style, aligned, paste, progress=PROGRESS):
            with sentences():
                if image is None:
                    raise ValueError('an image is needed: upload one or take one with the camera')
                what = chosen(networks.translators(), family, name, 'cyclegan')
                folder, kind = gallery.GRADIO_CACHE, COMPOSITE_MEDIA if paste else GENERATED_MEDIA

                def work(tell):
                    tell([])
                    network, perception = networks.translator(what)
                    translator = FaceTranslator(network, networks.detector, direction, parser=perception.parser,
                                                device=networks.device)
                    translator.check(styles, reference is not None)
                    given = None if reference is None else translator.align_image(reference.rgb)
                    generation_info, made = GenerationInfo.of(what.name, what.files, translator.description, kind), []
                    for number in range(styles):
                        found = translator.translate_image(image.rgb, aligned=aligned, style=style + number, reference=given,
                                                   paste=paste)
                        drawn = image.with_rgb(found.pasted[0]) if paste else found.faces[0].translations[0]
                        title = f'style {style + number}' if styles > 1 else 'translation'
                        made.append((download(drawn, f'{title}.png'.replace(' ', '-'), generation_info, folder), title))
                        tell(list(made))
                    return made, given.note if given else None

                for update, done in apart(work):
                    if done is None:
                        progress((len(update), styles), desc='translating', unit='styles')
                        yield update or gr.skip(), gr.skip()
                    else:
                        yield done[0], f'The reference: {done[1]}' if done[1] else ''

        event = go.click(translate, [image, reference, family, weights, direction, styles, style, aligned, paste],
                         [gallery, notes], concurrency_id=NETWORKS, concurrency_limit=1, show_progress_on=gallery,
                         api_visibility='private')
        stop.click(None, cancels=[event])
