"""The tab that draws faces after a reference."""
from typing import get_args

import gradio as gr
import torch

from app.images import download, upload
from app.networks import Networks
from app.work import NETWORKS, PROGRESS, apart, sentences
from configs.resolve import checked
from experiments.evaluation.ilvr import COLUMNS, compare
from experiments.evaluation.tables import Table
from models.ddpm.ilvr import ILVRConfig
from models.ddpm.lowpass import low_pass
from models.ddpm.schedules import Sampler
from models.images import to_uint8
from models.pipelines.framing import align_image
from models.pipelines.io.image_grid import grid
from models.pipelines.io.provenance import GENERATED_MEDIA, GenerationInfo

_MOST = 4  # samples at a time


def tab(networks: Networks) -> None:
    with gr.Tab('ILVR', id='ilvr') as here:
        with gr.Row():
            reference = upload('Reference: photo, drawing or sketch', 'ilvr-reference')
            person = upload('Identity: a photo of whom the samples are to show (may stay empty)', 'ilvr-person')
        with gr.Row():
            denoisers = list(networks.denoisers())
            weights = gr.Dropdown(denoisers, value=denoisers[0] if denoisers else None, label='Weights', elem_id='ilvr-weights')
            down = gr.Slider(1, 32, 8, step=1, label='Factor: how coarse the reference is taken', min_width=240)
            until = gr.Slider(0, 100, 0, step=1, label='Range: last percents of the way on which it lets go', min_width=240)
        with gr.Row():
            count = gr.Slider(1, _MOST, 2, step=1, label='Samples', min_width=240)
            steps = gr.Slider(2, 100, 50, step=1, label='Steps', min_width=240, elem_id='ilvr-steps')
            seed = gr.Number(0, precision=0, minimum=0, maximum=2 ** 31 - 1, label='Seed')
        with gr.Accordion('More', open=False):
            sampler = gr.Dropdown(list(get_args(Sampler)), value='ddim', label='Sampler')
            strength = gr.Slider(0, 2, 0.3, step=0.05, label='Strength of the identity', min_width=240)
        with gr.Row():
            go = gr.Button('Draw', variant='primary', elem_id='ilvr-go', min_width=100)
            stop = gr.Button('Cancel', elem_id='ilvr-stop', min_width=100)
        running = gr.Image(label='On the way', elem_id='ilvr-running', buttons=[], interactive=False, height=200, visible=False)
        gallery = gr.Gallery(label='Samples', elem_id='ilvr-gallery', columns=4, fit_columns=False, object_fit='contain',
                             interactive=False, buttons=['download', 'fullscreen'])
        figures = gr.Markdown(elem_id='ilvr-figures')

        def draw(reference, person, name, down, until, count, steps, seed, sampler, strength, progress=PROGRESS):
            with sentences():
                if reference is None:
                    raise ValueError('a reference is needed: a photo, a drawing or a sketch of a face')
                what = networks.denoisers().get(name)
                if what is None:
                    raise ValueError('there are no such weights here: train a denoiser with `python scripts/train.py --family '
                                     'ddpm` and start the page with the folder of its run as --runs')
                given = {'down': down, 'until': until / 100, 'steps': steps, 'sampler': sampler}
                config = checked(ILVRConfig, given | {'id_guidance': strength if person is not None else 0.0})
                folder = gallery.GRADIO_CACHE
                generation_info = GenerationInfo.of(what.name, what.files,
                                           'a face was drawn after the coarse content of a reference', GENERATED_MEDIA)

                def work(tell):
                    denoiser, template = networks.denoiser(what)
                    found = align_image(reference.rgb, networks.detector, denoiser.size, template)
                    square = found.image.to(networks.device)
                    identity = None if person is None else networks.embed(
                        align_image(person.rgb, networks.detector, 2 * denoiser.size, template).image.to(networks.device),
                        template=template)[0]
                    samples, = compare(
                        denoiser, square, {'this setting': config}, networks.embed, template=template, count=count, seed=seed,
                        mask=found.inside.to(networks.device), identity=identity,
                        callback=lambda step: tell((step.index + 1, step.clean)))
                    low = low_pass(square, config.finest)
                    shown = [(square, 'reference'), (low, 'what is kept of it'),
                             *((one[None], f'sample {number}') for number, one in enumerate(samples.images[0], 1))]
                    return ([(download(to_uint8(one)[0], f'{title.replace(" ", "-")}.png',
                                       generation_info if 'sample' in title else None,
                                       folder), title) for one, title in shown],
                            Table([samples.row], COLUMNS).markdown(), found.note)

                for update, done in apart(work):
                    if done is None:
                        index, clean = update
                        progress((index, config.steps), desc='drawing', unit='steps')
                        strip = grid({f'{number}': one[None] for number, one in enumerate(_large(clean), 1)})
                        path = download(strip, 'on-the-way.png', generation_info, folder)
                        yield gr.update(value=path, visible=True), gr.skip(), gr.skip()
                    else:
                        images, table, note = done
                        yield gr.update(visible=False), images, f'{table}\n{f"The reference: {note}" if note else ""}'

        event = go.click(draw, [reference, person, weights, down, until, count, steps, seed, sampler, strength],
                         [running, gallery, figures], concurrency_id=NETWORKS, concurrency_limit=1, show_progress_on=gallery,
                         api_visibility='private')
        stop.click(None, cancels=[event])

        def reopened(name):
            names = list(networks.denoisers())
            return gr.update(choices=names, value=name if name in names else names[0] if names else None)

        here.select(reopened, weights, weights, show_progress='hidden', api_visibility='private')


def _large(images: torch.Tensor) -> torch.Tensor:
    """(B,3,S,S) at no less than 128 pixels."""
    factor = -(-128 // images.shape[-1])
    return images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
