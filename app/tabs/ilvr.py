"""Tab for face generation from a reference image with ILVR (Choi et al. 2021)."""
from collections.abc import Callable, Iterator
from typing import Any, get_args

import gradio as gr
from torch import Tensor

from app.images import download, upload
from app.networks import Networks
from app.selection import first_or_none
from app.tasks import NETWORK_QUEUE, PROGRESS, Update, run_in_thread, user_messages
from configs.resolve import checked
from experiments.evaluation.ilvr import COLUMNS, compare
from experiments.evaluation.tables import Table
from models.ddpm.ilvr import ILVRConfig
from models.ddpm.lowpass import low_pass
from models.ddpm.schedules import Sampler
from models.image_io import Photo
from models.images import to_uint8
from models.pipelines.framing import align_image
from models.pipelines.io.image_grid import grid
from models.pipelines.io.provenance import GENERATED_MEDIA, GenerationInfo

_MAX_SAMPLES = 4
_MAX_SEED = 2 ** 31 - 1
_MIN_SHOWN_PX = 128  # side of intermediate results
_DESCRIPTION = 'a face was generated from the coarse content of a reference image'


def tab(networks: Networks) -> None:
    """Add the tab to the page under construction."""
    with gr.Tab('ILVR', id='ilvr') as this_tab:
        with gr.Row():
            reference = upload('Reference: photo, drawing or sketch', 'ilvr-reference')
            id_photo = upload('Identity (optional): photo of the face to resemble', 'ilvr-identity')
        with gr.Row():
            denoisers = list(networks.denoisers())
            weights = gr.Dropdown(denoisers, value=first_or_none(denoisers), label='Weights', elem_id='ilvr-weights')
            down = gr.Slider(1, 32, 8, step=1, label='Downsampling factor of the reference', min_width=240)
            until = gr.Slider(0, 100, 0, step=1, label='Last steps without the reference (%)', min_width=240)
        with gr.Row():
            count = gr.Slider(1, _MAX_SAMPLES, 2, step=1, label='Samples', min_width=240)
            steps = gr.Slider(2, 100, 50, step=1, label='Steps', min_width=240, elem_id='ilvr-steps')
            seed = gr.Number(0, precision=0, minimum=0, maximum=_MAX_SEED, label='Seed')
        with gr.Accordion('Advanced', open=False):
            sampler = gr.Dropdown(list(get_args(Sampler)), value='ddim', label='Sampler')
            strength = gr.Slider(0, 2, 0.3, step=0.05, label='Strength of the identity guidance', min_width=240)
        with gr.Row():
            start = gr.Button('Generate', variant='primary', elem_id='ilvr-start', min_width=100)
            cancel = gr.Button('Cancel', elem_id='ilvr-cancel', min_width=100)
        preview = gr.Image(label='Intermediate result', elem_id='ilvr-preview', buttons=[], interactive=False, height=200,
                           visible=False)
        gallery = gr.Gallery(label='Samples', elem_id='ilvr-gallery', columns=4, fit_columns=False, object_fit='contain',
                             interactive=False, buttons=['download', 'fullscreen'])
        figures = gr.Markdown(elem_id='ilvr-figures')

        def generate(reference: Photo | None, id_photo: Photo | None, name: str | None, down: float, until: float, count: int,
                     steps: int, seed: int, sampler: str, strength: float, progress: gr.Progress = PROGRESS) -> Iterator[tuple]:
            with user_messages():
                if reference is None:
                    raise ValueError('a reference is needed: a photo, a drawing or a sketch of a face')
                choice = networks.denoisers().get(name or '')
                if choice is None:
                    raise ValueError('there are no such weights: train a denoiser with `python scripts/train.py --family '
                                     'ddpm` and start the page with the folder of its run as --runs')
                config = checked(ILVRConfig, {
                    'down': down, 'until': until / 100, 'steps': steps, 'sampler': sampler,
                    'id_guidance': 0.0 if id_photo is None else strength})
                folder = gallery.GRADIO_CACHE
                info = GenerationInfo.of(choice.family, choice.files, _DESCRIPTION, GENERATED_MEDIA)

                def work(report: Callable[[tuple[int, Tensor]], None]) -> tuple[list[tuple[str, str]], str, str | None]:
                    """(file, title) of each image, the table of figures, and a note on the reference; the number of steps and the
                    predicted clean images are reported."""
                    denoiser, template = networks.denoiser(choice)
                    aligned = align_image(reference.rgb, networks.detector, denoiser.size, template)
                    image = aligned.image.to(networks.device)
                    id_embedding = None
                    if id_photo is not None:
                        face = align_image(id_photo.rgb, networks.detector, 2 * denoiser.size, template).image
                        id_embedding = networks.embed(face.to(networks.device), template=template)[0]
                    samples, = compare(
                        denoiser, image, {'this setting': config}, networks.embed, template=template, count=count, seed=seed,
                        mask=aligned.inside.to(networks.device), identity=id_embedding,
                        callback=lambda step: report((step.index + 1, step.clean)))
                    images = [(image, 'reference', None), (low_pass(image, config.finest), 'low-pass of the reference', None),
                              *((sample[None], f'sample {number}', info) for number, sample in enumerate(samples.images[0], 1))]
                    files = [(download(to_uint8(content)[0], f'{title.replace(" ", "-")}.png', credentials, folder), title)
                             for content, title, credentials in images]
                    return files, Table([samples.row], COLUMNS).markdown(), aligned.note

                for event in run_in_thread(work):
                    if isinstance(event, Update):
                        index, clean = event.value
                        progress((index, config.steps), desc='generating', unit='steps')
                        strip = grid({f'{number}': image[None] for number, image in enumerate(_enlarged(clean), 1)})
                        path = download(strip, 'intermediate.png', info, folder)
                        yield gr.update(value=path, visible=True), gr.skip(), gr.skip()
                    else:
                        files, table, note = event.value
                        yield gr.update(visible=False), files, f'{table}\n{f"Reference: {note}" if note else ""}'

        run = start.click(generate, [reference, id_photo, weights, down, until, count, steps, seed, sampler, strength],
                          [preview, gallery, figures], concurrency_id=NETWORK_QUEUE, concurrency_limit=1,
                          show_progress_on=gallery, api_visibility='private')
        cancel.click(None, cancels=[run])

        def update_weights(name: str | None) -> dict[str, Any]:
            names = list(networks.denoisers())
            return gr.update(choices=names, value=name if name in names else first_or_none(names))

        this_tab.select(update_weights, weights, weights, show_progress='hidden', api_visibility='private')


def _enlarged(images: Tensor) -> Tensor:
    """(B,3,S,S) enlarged by an integer factor to at least _MIN_SHOWN_PX."""
    factor = -(-_MIN_SHOWN_PX // images.shape[-1])
    return images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
