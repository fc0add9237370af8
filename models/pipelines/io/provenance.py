"""Content Credentials (C2PA): what a pipeline writes says that it was made, with what, and whether it was changed since.

The signature is made with a certificate of this machine, created at first use in the user's config folder. It shows that
a file is as this machine wrote it; who runs the machine it does not show, and nobody else has reason to trust it. Nothing
asks the network: no time stamps, no revocation lists, no remote manifests.
"""
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from models import weights
from models.storage.files import WriteError, replacing

KINDS = {'.png': 'image/png', '.jpg': 'image/jpeg', '.jpeg': 'image/jpeg', '.mp4': 'video/mp4'}
# What is made, in the vocabulary of the IPTC: part of an image, or all of it.
PART, WHOLE = 'compositeWithTrainedAlgorithmicMedia', 'trainedAlgorithmicMedia'
_IPTC = 'http://cv.iptc.org/newscodes/digitalsourcetype/'
_SUITE = 'face-swap-suite'
_LABEL = f'local.{_SUITE}.making'
_TRUSTED, _UNTRUSTED = 'signingCredential.trusted', 'signingCredential.untrusted'
_DAYS = 3650  # that the certificate is valid
_CERTIFICATE = ('key.pem', 'chain.pem', 'root.pem')
POLICIES = ('require', 'if-possible', 'off')  # what `signing` takes


class ProvenanceError(ValueError):
    """What went wrong and what to do, in one sentence."""


@dataclass(frozen=True)
class GenerationInfo:
    """How a file was made. model: the family; weights: file name -> sha256; done: one sentence; source: PART or WHOLE."""

    model: str
    weights: dict[str, str]
    done: str
    source: str = PART

    @classmethod
    def of(cls, model: str, files: Iterable[Path], done: str, source: str = PART) -> 'GenerationInfo':
        """Of files of weights, whose sha256 is taken."""
        return cls(model, {Path(file).name: weights.digest(Path(file)) for file in files}, done, source)


@dataclass(frozen=True)
class Credentials:
    """What a file says of itself. present: whether it says anything. problems: codes of C2PA for what does not hold, empty where
    the file is as it was signed; ours: signed on this machine. made: where this suite made it; title, signer
    and when: of the signature; source: digitalSourceType."""

    present: bool
    problems: tuple[str, ...] = ()
    ours: bool = False
    made: GenerationInfo | None = None
    title: str | None = None
    signer: str | None = None
    when: str | None = None
    source: str | None = None

    @property
    def intact(self) -> bool:
        return self.present and not self.problems


@contextmanager
def _library():
    """The module c2pa; its errors become sentences."""
    try:
        import c2pa
    except (ImportError, OSError) as error:
        raise ProvenanceError(f'Content Credentials want the package c2pa-python, which cannot be loaded here ({error}): '
                              'install it with pip install -e ., or write without them by --provenance off') from error
    try:
        yield c2pa
    except c2pa.C2paError as error:
        raise ProvenanceError(f'Content Credentials could not be dealt with ({str(error).splitlines()[0]}); the file may be '
                              'damaged or no PNG, JPEG or MP4') from error


def _kind(name: str) -> str:
    kind = KINDS.get(Path(name).suffix.lower())
    if kind is None:
        raise ProvenanceError(f'{name} does not end in {", ".join(KINDS)}, the files that bear Content Credentials here')
    return kind


def _issue(folder: Path) -> None:
    """Write key.pem (mode 0600), chain.pem (certificate and issuer) and root.pem (the issuer, whose own key is forgotten)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def certificate(name: str, key, issuer_name: str, issuer_key, authority: bool) -> bytes:
        def full(common: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, _SUITE),
                              x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])

        uses = dict.fromkeys(('content_commitment', 'key_encipherment', 'data_encipherment', 'key_agreement', 'encipher_only',
                              'decipher_only'), False)
        uses |= {'digital_signature': not authority, 'key_cert_sign': authority, 'crl_sign': authority}
        now = datetime.now(timezone.utc)
        builder = (x509.CertificateBuilder().subject_name(full(name)).issuer_name(full(issuer_name)).public_key(key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=_DAYS))
                   .add_extension(x509.BasicConstraints(authority, None), True)
                   .add_extension(x509.KeyUsage(**uses), True)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False))
        if not authority:
            builder = builder.add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    names = 'issuer of one machine', 'one machine'
    issuer = certificate(names[0], root, names[0], root, True)
    (folder / 'chain.pem').write_bytes(certificate(names[1], own, names[0], root, False) + issuer)
    (folder / 'root.pem').write_bytes(issuer)
    with open(os.open(folder / 'key.pem', os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'wb') as handle:
        handle.write(own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption()))


def config_folder() -> Path:
    """The user's folder for settings of this suite: in $XDG_CONFIG_HOME where that is set, else where the system has them.
    RuntimeError where the user has no home."""
    if os.environ.get('XDG_CONFIG_HOME'):
        base = Path(os.environ['XDG_CONFIG_HOME'])
    elif sys.platform == 'win32' and os.environ.get('APPDATA'):
        base = Path(os.environ['APPDATA'])
    else:
        base = Path.home() / ('Library/Application Support' if sys.platform == 'darwin' else '.config')
    return base / _SUITE


def _certificate_places() -> tuple[Path, Path | None]:
    """Where the certificate is kept, and where it may lie instead: among the fetched weights, from which it is moved."""
    folder, former = config_folder() / 'provenance', None
    with suppress(RuntimeError):
        former = weights.cache() / 'provenance'
    return folder, former


def certificate_folder() -> Path:
    """The folder of this machine's certificate (mode 0700), made where there is none. ProvenanceError where that fails."""
    try:
        folder, former = _certificate_places()
    except RuntimeError as error:
        raise ProvenanceError('the user has no home folder for the key that signs: name a folder in XDG_CONFIG_HOME, or write '
                              'without credentials by --provenance off') from error
    try:
        if not (folder / 'key.pem').is_file():
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = Path(tempfile.mkdtemp(prefix='.provenance.', dir=folder.parent))  # mode 0700
            try:
                if former and (former / 'key.pem').is_file():
                    for name in _CERTIFICATE:
                        shutil.copyfile(former / name, beside / name)
                    (beside / 'key.pem').chmod(0o600)
                else:
                    _issue(beside)
                os.rename(beside, folder)
            except OSError:
                if not (folder / 'key.pem').is_file():  # no other process was faster
                    raise
            finally:
                shutil.rmtree(beside, ignore_errors=True)
            if former:
                shutil.rmtree(former, ignore_errors=True)
    except OSError as error:
        raise ProvenanceError(f'the key that signs cannot be kept in {folder} ({error.strerror or error}): name another folder '
                              'in XDG_CONFIG_HOME, or write without credentials by --provenance off') from error
    return folder


def check_signing() -> None:
    """Raise the ProvenanceError that `sign` would end in, as far as it can be known before."""
    with _library():
        folder = certificate_folder()
    try:
        (folder / 'key.pem').read_bytes()
    except OSError as error:
        raise ProvenanceError(f'{folder / "key.pem"} cannot be read ({error.strerror}): change its permissions, or write without '
                              'credentials by --provenance off') from error


def signing(policy: str) -> tuple[bool, str | None]:
    """Whether to sign by a policy of POLICIES, and a note for the user. To be asked before the work: ProvenanceError where it is
    required and cannot be done."""
    if policy == 'off':
        return False, None
    try:
        check_signing()
    except ProvenanceError as error:
        if policy == 'require':
            raise
        return False, f'no Content Credentials are written: {error}'
    return True, None


def _own_issuer() -> Path | None:
    """The certificate of this machine's issuer, or None where it has none that can be read."""
    with suppress(RuntimeError, OSError):
        return next((place / 'root.pem' for place in _certificate_places() if place and (place / 'root.pem').is_file()), None)
    return None


def _settings(root: Path | None) -> dict:
    trust = {'user_anchors': root.read_text()} if root else {}
    return {'trust': trust, 'builder': {'thumbnail': {'enabled': False}},
            'verify': {'verify_trust': True, 'remote_manifest_fetch': False, 'ocsp_fetch': False}}


class _Target(io.FileIO):
    """A file that remembers in `error` why it could not be written: the library says only that it could not."""

    error: OSError | None = None

    def write(self, data) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.error = error
            raise


def sign(file: str | Path, making: GenerationInfo, name: str | None = None) -> None:
    """Put signed Content Credentials into a PNG, JPEG or MP4, in place: written beside and renamed. name: its name, where
    the file bears another one for now. ProvenanceError where that fails, WriteError where the file cannot be written; the file
    is then as it was."""
    file = Path(file)
    name = (name or file.name).encode(errors='replace').decode()
    kind, folder = _kind(name), certificate_folder()
    action = {'action': 'c2pa.created', 'digitalSourceType': _IPTC + making.source, 'description': making.done,
              'softwareAgent': {'name': f'{_SUITE} {making.model}'},
              'when': datetime.now(timezone.utc).isoformat(timespec='seconds')}
    manifest = {'claim_generator_info': [{'name': _SUITE}], 'title': name, 'format': kind,
                'assertions': [{'label': 'c2pa.actions.v2', 'data': {'actions': [action]}},
                               {'label': _LABEL, 'data': asdict(making)}]}
    try:
        with replacing(file) as signed, _library() as c2pa, _Target(signed, 'w+b') as raw, io.BufferedRandom(raw) as target:
            info = c2pa.C2paSignerInfo(b'es256', (folder / 'chain.pem').read_bytes(), (folder / 'key.pem').read_bytes(), None)
            try:
                with (c2pa.Signer.from_info(info) as signer, c2pa.Context.from_dict(_settings(folder / 'root.pem')) as context,
                      c2pa.Builder(manifest, context=context) as builder, file.open('rb') as source):
                    builder.sign(signer, kind, source, target)
            except c2pa.C2paError:
                if raw.error is not None:
                    raise raw.error from None
                raise
    except WriteError as error:
        error.filename = str(file.with_name(name))
        raise


def _codes(results: dict, outcome: str) -> tuple[str, ...]:
    """The codes of C2PA with that outcome (success, failure), of the file's manifest and then of those that it builds on."""
    parts = [results.get('activeManifest') or {}] + [delta['validationDeltas'] for delta in results.get('ingredientDeltas') or []]
    return tuple(dict.fromkeys(found['code'] for part in parts for found in part.get(outcome, ())))


def _making(data) -> GenerationInfo | None:
    """What a file says of its making, where it says it as this suite does; anybody may have written it."""
    try:
        made = GenerationInfo(**data)
    except TypeError:
        return None
    texts = made.model, made.done, made.source
    return made if all(isinstance(text, str) for text in texts) and isinstance(made.weights, dict) else None


def inspect(file: str | Path) -> Credentials:
    """What a PNG, JPEG or MP4 says of itself, verified. ProvenanceError where it cannot be read."""
    file = Path(file)
    if not file.is_file():
        raise ProvenanceError(f'{file} is no file; give a PNG, JPEG or MP4')
    _kind(file.name)
    with _library() as c2pa, c2pa.Context.from_dict(_settings(_own_issuer())) as context:
        reader = c2pa.Reader.try_create(file, context=context)
        if reader is None:
            return Credentials(False)
        with reader:
            active, results = reader.get_active_manifest() or {}, reader.get_validation_results() or {}
            invalid = reader.get_validation_state() == 'Invalid'
    problems = tuple(code for code in _codes(results, 'failure') if code != _UNTRUSTED)
    found = {assertion['label'].removesuffix('.v2'): assertion.get('data') for assertion in active.get('assertions', ())}
    action = ((found.get('c2pa.actions') or {}).get('actions') or [{}])[0]
    signature = active.get('signature_info') or {}
    ours = _TRUSTED in _codes({'activeManifest': results.get('activeManifest')}, 'success')  # not what it builds on
    return Credentials(True, problems or (('invalid',) if invalid else ()), ours,
                       _making(found.get(_LABEL)), active.get('title'), signature.get('issuer'),
                       signature.get('time') or action.get('when'),
                       (action.get('digitalSourceType') or '').removeprefix(_IPTC) or None)


def with_visible_label(image: np.ndarray, text: str = 'face swapped') -> np.ndarray:
    """(H,W,3) uint8 RGB with a legible label in the lower right corner, for those who never look at credentials."""
    canvas = Image.fromarray(image)
    size = max(10, round(min(canvas.size) / 28))
    font, draw = ImageFont.load_default(size=size), ImageDraw.Draw(canvas, 'RGBA')
    corner = canvas.width - size // 2, canvas.height - size // 2
    box = draw.textbbox(corner, text, font=font, anchor='rs')
    room = size // 3
    draw.rectangle((box[0] - room, box[1] - room, box[2] + room, box[3] + room), fill=(0, 0, 0, 160))
    draw.text(corner, text, fill=(255, 255, 255), font=font, anchor='rs')
    return np.array(canvas)
