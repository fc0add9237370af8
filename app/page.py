"""The web page and its server."""
import atexit
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.albums import Album
from app.images import MAX_UPLOAD_MB
from app.networks import Networks
from app.tabs import data, ilvr, runs, swap, translate

LOOPBACK, USER = '127.0.0.1', 'face'
_MAX_QUEUED_REQUESTS = 32
_RETENTION_S, _CLEANUP_INTERVAL_S = 3600, 600  # of uploads and generated images
# The browser loads resources of the page itself only.
_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-ancestors 'self'")
_BLOCKED_PATHS = ('/gradio_api/proxy=', '/gradio_api/process_recording', '/gradio_api/deep_link', '/monitoring')
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
Swap faces only with the consent of the people shown, and state that an image is generated. Generated images carry signed
Content Credentials.
"""


@dataclass(frozen=True)
class Settings:
    """Settings of the page. roots: folders of results. albums: data sets by name. device: device of the networks."""

    roots: list[Path] = field(default_factory=list)
    albums: dict[str, Album] = field(default_factory=dict)
    device: str = 'cpu'


class SecurityHeaders:
    """ASGI middleware that sends security headers with each response and answers _BLOCKED_PATHS with status 404."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] == 'http' and scope['path'].startswith(_BLOCKED_PATHS):
            await send({'type': 'http.response.start', 'status': 404, 'headers': []})
            await send({'type': 'http.response.body', 'body': b''})
            return

        async def send_with_headers(message: Message) -> None:
            if message['type'] == 'http.response.start':
                extra = [(b'content-security-policy', _CONTENT_SECURITY_POLICY.encode()), (b'referrer-policy', b'no-referrer'),
                         (b'x-content-type-options', b'nosniff')]
                message = {**message, 'headers': [*message.get('headers', []), *extra]}
            await send(message)

        await self.app(scope, receive, send_with_headers)


def build(settings: Settings) -> gr.Blocks:
    """The page with its tabs."""
    networks = Networks(settings.roots, settings.device)
    with gr.Blocks(title='Faces', analytics_enabled=False, delete_cache=(_CLEANUP_INTERVAL_S, _RETENTION_S)) as page:
        gr.Markdown(_INTRODUCTION)
        with gr.Tabs():
            swap.tab(networks)
            translate.tab(networks)
            ilvr.tab(networks)
            data.tab(networks, settings.albums)
            runs.tab(settings.roots)
    return page.queue(max_size=_MAX_QUEUED_REQUESTS, default_concurrency_limit=2, api_open=False)


def serve(settings: Settings, *, host: str = LOOPBACK, port: int | None = None, password: str | None = None,
          block: bool = True) -> tuple[gr.Blocks, str]:
    """Start the server. Returns the page and its address.

    host: address to listen on. port: None for the first free one from 7860. password: if given, the browser asks for it and for
    the user name USER; required for hosts other than LOOPBACK. block: print the address and wait until the server ends.
    Uploads and generated images are stored in a temporary folder, which is removed at exit. Raises ValueError without a password
    for a host other than LOOPBACK.
    """
    if host != LOOPBACK and not password:
        raise ValueError(f'the page would be open to everyone who can reach {host}: give a password')
    folder = tempfile.mkdtemp(prefix='faces-')
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ['GRADIO_TEMP_DIR'] = folder
    middleware = [Middleware(SecurityHeaders)]
    if host == LOOPBACK:  # against DNS rebinding
        middleware.insert(0, Middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, 'localhost']))
    theme = gr.themes.Base(font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace'])
    page = build(settings)
    _, address, _ = page.launch(
        server_name=host, server_port=port, auth=(USER, password) if password else None, share=False, inbrowser=False, quiet=True,
        prevent_thread_lock=True, max_file_size=MAX_UPLOAD_MB * 2 ** 20, ssr_mode=False, pwa=False, mcp_server=False,
        run_history=False, enable_monitoring=False, footer_links=[], app_kwargs={'middleware': middleware}, theme=theme,
        css=_STYLE)
    if block:
        print(address, flush=True)
        page.block_thread()
    return page, address
