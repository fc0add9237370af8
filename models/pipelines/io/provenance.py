"""Content Credentials (C2PA 2): signed records in an image or video of how it was generated, and their verification.

Files are signed with the certificate of this machine (models.pipelines.io.certificates). No network is used: no time stamps,
revocation lists or remote manifests.
"""
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

from models import weights
from models.pipelines.io.certificates import SUITE, ProvenanceError, certificate_folder, issuer_certificate
from models.storage.files import WriteError, replacing

MEDIA_TYPES = {'.png': 'image/png', '.jpg': 'image/jpeg', '.jpeg': 'image/jpeg', '.mp4': 'video/mp4'}
# digitalSourceType of the IPTC: a model generated a part of the image, or all of it.
COMPOSITE_MEDIA, GENERATED_MEDIA = 'compositeWithTrainedAlgorithmicMedia', 'trainedAlgorithmicMedia'
POLICIES = ('require', 'if-possible', 'off')  # of `resolve_signing`
_IPTC = 'http://cv.iptc.org/newscodes/digitalsourcetype/'
_LABEL = f'local.{SUITE}.making'  # of the assertion with GenerationInfo
_TRUSTED, _UNTRUSTED = 'signingCredential.trusted', 'signingCredential.untrusted'


@dataclass(frozen=True)
class GenerationInfo:
    """How a file was generated.

    Attributes:
        model: name of the family.
        weights: file name -> sha256 in hexadecimal digits.
        description: one sentence.
        source_type: COMPOSITE_MEDIA or GENERATED_MEDIA.
    """

    model: str
    weights: dict[str, str]
    description: str
    source_type: str = COMPOSITE_MEDIA

    @classmethod
    def of(cls, model: str, files: Iterable[Path], description: str, source_type: str = COMPOSITE_MEDIA) -> 'GenerationInfo':
        """With the digests of files of weights."""
        return cls(model, {Path(file).name: weights.digest(Path(file)) for file in files}, description, source_type)

    def to_assertion(self) -> dict[str, Any]:
        """The data of the C2PA assertion."""
        return {'model': self.model, 'weights': self.weights, 'done': self.description, 'source': self.source_type}

    @classmethod
    def from_assertion(cls, data: object) -> 'GenerationInfo | None':
        """From the data of an assertion, which may come from any program; None if they are not those of `to_assertion`."""
        if not isinstance(data, dict) or not {'model', 'weights', 'done'} <= set(data) <= {'model', 'weights', 'done', 'source'}:
            return None
        info = cls(data['model'], data['weights'], data['done'], data.get('source', COMPOSITE_MEDIA))
        texts = info.model, info.description, info.source_type
        return info if all(isinstance(text, str) for text in texts) and isinstance(info.weights, dict) else None


@dataclass(frozen=True)
class Credentials:
    """The Content Credentials of a file.

    Attributes:
        present: whether the file has any.
        problems: C2PA status codes of failed checks; empty for a file that is unchanged since it was signed.
        signed_locally: whether the certificate of this machine signed it.
        generation_info: as written by this suite, or None.
        title, signer, signed_at: of the signature.
        source_type: IPTC digitalSourceType without its prefix.
    """

    present: bool
    problems: tuple[str, ...] = ()
    signed_locally: bool = False
    generation_info: GenerationInfo | None = None
    title: str | None = None
    signer: str | None = None
    signed_at: str | None = None
    source_type: str | None = None

    @property
    def intact(self) -> bool:
        """Whether the file has credentials and all checks passed."""
        return self.present and not self.problems


@contextmanager
def _library() -> Iterator[ModuleType]:
    """The module c2pa; its errors become ProvenanceErrors."""
    try:
        import c2pa
    except (ImportError, OSError) as error:
        raise ProvenanceError(f'Content Credentials need the package c2pa-python, which cannot be loaded ({error}): '
                              'install it with pip install -e ., or write without them by --provenance off') from error
    try:
        yield c2pa
    except c2pa.C2paError as error:
        raise ProvenanceError(f'Content Credentials could not be processed ({str(error).splitlines()[0]}); the file may be '
                              'damaged or no PNG, JPEG or MP4') from error


def _media_type(name: str) -> str:
    media_type = MEDIA_TYPES.get(Path(name).suffix.lower())
    if media_type is None:
        raise ProvenanceError(f'{name} does not end in {", ".join(MEDIA_TYPES)}, the formats with Content Credentials')
    return media_type


def _settings(root: Path | None) -> dict[str, Any]:
    trust = {'user_anchors': root.read_text()} if root else {}
    return {'trust': trust, 'builder': {'thumbnail': {'enabled': False}},
            'verify': {'verify_trust': True, 'remote_manifest_fetch': False, 'ocsp_fetch': False}}


def check_signing() -> None:
    """Raise the ProvenanceError that `sign` would raise, as far as it can be determined in advance."""
    with _library():
        folder = certificate_folder()
    try:
        (folder / 'key.pem').read_bytes()
    except OSError as error:
        raise ProvenanceError(f'{folder / "key.pem"} cannot be read ({error.strerror}): change its permissions, or write without '
                              'credentials by --provenance off') from error


def resolve_signing(policy: str) -> tuple[bool, str | None]:
    """Whether to sign under a policy of POLICIES, and a note for the user or None. To be called before generating.
    Raises ProvenanceError if signing is required and impossible."""
    if policy == 'off':
        return False, None
    try:
        check_signing()
    except ProvenanceError as error:
        if policy == 'require':
            raise
        return False, f'no Content Credentials are written: {error}'
    return True, None


class _RecordingFile(io.FileIO):
    """A file that stores the OSError of a failed write in `error`; the C2PA library does not report it."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            self.error = error
            raise


def sign(file: str | Path, generation_info: GenerationInfo, name: str | None = None) -> None:
    """Add signed Content Credentials to a PNG, JPEG or MP4, replacing the file atomically.

    name: final name of the file, if it has a temporary one. Raises ProvenanceError if signing fails, WriteError if the file
    cannot be written; the file is then unchanged.
    """
    file = Path(file)
    name = (name or file.name).encode(errors='replace').decode()
    media_type, folder = _media_type(name), certificate_folder()
    action = {'action': 'c2pa.created', 'digitalSourceType': _IPTC + generation_info.source_type,
              'description': generation_info.description, 'softwareAgent': {'name': f'{SUITE} {generation_info.model}'},
              'when': datetime.now(timezone.utc).isoformat(timespec='seconds')}
    manifest = {'claim_generator_info': [{'name': SUITE}], 'title': name, 'format': media_type,
                'assertions': [{'label': 'c2pa.actions.v2', 'data': {'actions': [action]}},
                               {'label': _LABEL, 'data': generation_info.to_assertion()}]}
    try:
        with replacing(file) as temporary, _library() as c2pa, _RecordingFile(temporary, 'w+b') as raw, \
                io.BufferedRandom(raw) as target:
            info = c2pa.C2paSignerInfo(b'es256', (folder / 'chain.pem').read_bytes(), (folder / 'key.pem').read_bytes(), None)
            try:
                with (c2pa.Signer.from_info(info) as signer, c2pa.Context.from_dict(_settings(folder / 'root.pem')) as context,
                      c2pa.Builder(manifest, context=context) as builder, file.open('rb') as source):
                    builder.sign(signer, media_type, source, target)
            except c2pa.C2paError:
                if raw.error is not None:
                    raise raw.error from None
                raise
    except WriteError as error:
        error.filename = str(file.with_name(name))
        raise


def _codes(results: dict[str, Any], outcome: str) -> tuple[str, ...]:
    """C2PA status codes with an outcome (success, failure): of the active manifest, then of its ingredients."""
    manifests = [results.get('activeManifest') or {}]
    manifests += [delta['validationDeltas'] for delta in results.get('ingredientDeltas') or []]
    return tuple(dict.fromkeys(status['code'] for manifest in manifests for status in manifest.get(outcome, ())))


def inspect(file: str | Path) -> Credentials:
    """Read and verify the credentials of a PNG, JPEG or MP4. Raises ProvenanceError if it cannot be read."""
    file = Path(file)
    if not file.is_file():
        raise ProvenanceError(f'{file} is no file; give a PNG, JPEG or MP4')
    _media_type(file.name)
    with _library() as c2pa, c2pa.Context.from_dict(_settings(issuer_certificate())) as context:
        reader = c2pa.Reader.try_create(file, context=context)
        if reader is None:
            return Credentials(False)
        with reader:
            active, results = reader.get_active_manifest() or {}, reader.get_validation_results() or {}
            invalid = reader.get_validation_state() == 'Invalid'
    problems = tuple(code for code in _codes(results, 'failure') if code != _UNTRUSTED)
    assertions = {assertion['label'].removesuffix('.v2'): assertion.get('data') for assertion in active.get('assertions', ())}
    action = ((assertions.get('c2pa.actions') or {}).get('actions') or [{}])[0]
    signature = active.get('signature_info') or {}
    # The active manifest alone: an ingredient may have been signed by this machine before another one changed it.
    signed_locally = _TRUSTED in _codes({'activeManifest': results.get('activeManifest')}, 'success')
    return Credentials(True, problems or (('invalid',) if invalid else ()), signed_locally,
                       GenerationInfo.from_assertion(assertions.get(_LABEL)), active.get('title'), signature.get('issuer'),
                       signature.get('time') or action.get('when'),
                       (action.get('digitalSourceType') or '').removeprefix(_IPTC) or None)
