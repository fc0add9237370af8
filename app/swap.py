"""The tab that puts the face of one photo on another."""
import gradio as gr

from app.choice import chosen, family_and_weights
from app.images import download, upload
from app.networks import Networks
from app.work import NETWORKS, PROGRESS, apart, sentences
from models.pipelines.io.provenance import GenerationInfo
from models.pipelines.io.visible_label import with_visible_label
from models.pipelines.photo import ALL, LARGEST, SWAP_DESCRIPTION
from models.registry import SWAPPER


def tab(networks: Networks) -> None:
    with gr.Tab('Swap', id='swap') as here:
        with gr.Row():
            source = upload('Source: whose face', 'swap-source')
            target = upload('Target: who gets it', 'swap-target')
        with gr.Row():
            family, weights = family_and_weights(networks.swappers, here, 'swap')
            faces = gr.Radio([('the largest face', LARGEST), ('all faces', ALL)], value=LARGEST, label='Of the target')
        with gr.Row():
            color = gr.Checkbox(True, label="Match the target's tones")
            mark = gr.Checkbox(False, label='Say in the image that it was made')
        with gr.Row():
            go = gr.Button('Swap', variant='primary', elem_id='swap-go', min_width=100)
            stop = gr.Button('Cancel', elem_id='swap-stop', min_width=100)
        compared = gr.ImageSlider(label='Before and after: drag the line', elem_id='swap-compared', buttons=['fullscreen'],
                                  interactive=False, max_height=640)
        notes = gr.Markdown(elem_id='swap-notes')
        file = gr.DownloadButton('Download', elem_id='swap-download', interactive=False)

        def swap(source, target, family, name, faces, color, mark, progress=PROGRESS):
            with sentences():
                if source is None or target is None:
                    raise ValueError('two images are needed: one of the person whose face is wanted, and one that gets it')
                what = chosen(networks.swappers(), family, name, SWAPPER)

                def work(tell):
                    tell((0.1, 'loading the networks'))
                    swapper = networks.swapper(what, color)
                    tell((0.4, 'looking for faces and swapping'))
                    made = swapper.swap(source.rgb, target.rgb, source_face=LARGEST, target_face=faces)
                    photo = target.with_rgb(made.image)
                    photo = photo.with_rgb(with_visible_label(photo.rgb), opaque=True) if mark else photo
                    tell((0.8, 'signing'))
                    generation_info, folder = GenerationInfo.of(what.name, what.files, SWAP_DESCRIPTION), compared.GRADIO_CACHE
                    after = download(photo, 'swap.png', generation_info, folder)
                    return (download(target, 'before.png', None, folder), after), [*target.notes, *made.notes], after

                for update, made in apart(work):
                    if update:
                        progress(*update)
                        yield gr.skip(), gr.skip(), gr.skip()
                    else:
                        images, said, path = made
                        yield images, '\n'.join(f'- {note}' for note in said), gr.update(value=path, interactive=True)

        event = go.click(swap, [source, target, family, weights, faces, color, mark], [compared, notes, file],
                         concurrency_id=NETWORKS, concurrency_limit=1, show_progress_on=compared, api_visibility='private')
        stop.click(None, cancels=[event])
