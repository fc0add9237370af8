"""The page, and how it is served."""
import atexit
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from app import data, ilvr, runs, swap, translate
from app.images import MEGABYTES
from app.networks import Networks
from app.viewing import Album

LOOPBACK, USER = '127.0.0.1', 'face'
_WAITING = 32  # requests in a queue
_KEPT = 3600  # seconds that uploads and results stay
# What a browser may load: the page itself, and nothing from anywhere else.
_POLICY = ("default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
           "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
           "worker-src 'self' blob:; frame-ancestors 'self'")
_CLOSED = ('/gradio_api/proxy=', '/gradio_api/process_recording', '/gradio_api/deep_link', '/monitoring')  # not for this page
_STYLE = """
.gradio-container{max-width:1180px!important}
.curves{display:flex;flex-wrap:wrap;gap:14px}.curves figure{margin:0;max-width:100%}.curves figcaption{font-weight:600}
.report{width:100%;height:80vh;border:1px solid var(--border-color-primary);background:#fff}
.prose table{display:block;max-width:100%;overflow-x:auto;border:0!important;font-variant-numeric:tabular-nums}
.prose tr{border:0!important}.prose th,.prose td{border:0!important;border-bottom:1px solid var(--border-color-primary)!important}
.grid-wrap.fixed-height{max-height:none!important;min-height:0!important}
.thumbnail-lg{aspect-ratio:auto!important;height:auto!important;display:flex!important;flex-direction:column;align-items:stretch}
.thumbnail-lg img{aspect-ratio:1;height:auto!important}
.thumbnail-lg .caption-label{position:static!important;max-width:100%!important;white-space:normal!important;font-size:12px}
.prose table th,.prose table td{white-space:nowrap}
@media(max-width:600px){.fillable{padding:8px!important}.tab-container button{padding:0 8px!important}
.grid-container{grid-template-columns:repeat(2,1fr)!important}}
"""
_INTRODUCTION = """# Faces
Swap faces only of people who agreed to it, and say that an image is made. What is made here bears signed Content Credentials.
"""


@dataclass(frozen=True)
class Settings:
    """roots: folders of results; albums: data sets to look at, by name; device: where networks run."""

    roots: list[Path] = field(default_factory=list)
    albums: dict[str, Album] = field(default_factory=dict)
    device: str = 'cpu'


class Guard:
    """An ASGI application around another one, which tells browsers to load nothing from elsewhere and refuses _CLOSED."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope['type'] == 'http' and scope['path'].startswith(_CLOSED):
            await send({'type': 'http.response.start', 'status': 404, 'headers': []})
            await send({'type': 'http.response.body', 'body': b''})
            return

        async def guarded(message):
            if message['type'] == 'http.response.start':
                extra = [(b'content-security-policy', _POLICY.encode()), (b'referrer-policy', b'no-referrer'),
                         (b'x-content-type-options', b'nosniff')]
                message = {**message, 'headers': [*message.get('headers', []), *extra]}
            await send(message)

        await self.app(scope, receive, guarded)


def build(settings: Settings) -> gr.Blocks:
    """The page with its tabs."""
    networks = Networks(settings.roots, settings.device)
    with gr.Blocks(title='Faces', analytics_enabled=False, delete_cache=(600, _KEPT)) as page:
        gr.Markdown(_INTRODUCTION)
        with gr.Tabs():
            swap.tab(networks)
            translate.tab(networks)
            ilvr.tab(networks)
            data.tab(networks, settings.albums)
            runs.tab(settings.roots)
    return page.queue(max_size=_WAITING, default_concurrency_limit=2, api_open=False)


def serve(settings: Settings, *, host: str = LOOPBACK, port: int | None = None, password: str | None = None,
          block: bool = True) -> tuple[gr.Blocks, str]:
    """Start the server; the page and its address. With a password the browser is asked for it, and for the user USER; a host
    other than LOOPBACK wants one: ValueError. Uploads and results lie in a folder of this process alone, gone when it ends."""
    if host != LOOPBACK and not password:
        raise ValueError(f'whoever reaches {host} could use the page: give a password, too')
    folder = tempfile.mkdtemp(prefix='faces-')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ['GRADIO_TEMP_DIR'] = folder
    guards = [Middleware(Guard)]
    if host == LOOPBACK:  # no other site's name may lead a browser here
        guards.insert(0, Middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, 'localhost']))
    plain = gr.themes.Base(font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace'])
    page = build(settings)
    _, address, _ = page.launch(
        server_name=host, server_port=port, auth=(USER, password) if password else None, share=False, inbrowser=False, quiet=True,
        prevent_thread_lock=True, max_file_size=MEGABYTES * 2 ** 20, ssr_mode=False, pwa=False, mcp_server=False,
        run_history=False, enable_monitoring=False, footer_links=[], app_kwargs={'middleware': guards}, theme=plain, css=_STYLE)
    if block:
        print(address, flush=True)
        page.block_thread()
    return page, address


