"""The certificate of this machine that signs Content Credentials: an EC P-256 key, its certificate and the issuer's certificate.

The files are created at first use in the user's config folder; the issuer's key is discarded. A signature shows that a file is
unchanged since this machine wrote it; it does not identify the user.
"""
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from models import weights

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

SUITE = 'face-swap-suite'  # organization of the certificates and name of the config folder
_VALID_DAYS = 3650
_FILES = ('key.pem', 'chain.pem', 'root.pem')


class ProvenanceError(ValueError):
    """An error of signing or reading credentials. The message states the cause and the remedy."""


def _certificate(name: str, key: 'EllipticCurvePrivateKey', issuer_name: str, issuer_key: 'EllipticCurvePrivateKey',
                 authority: bool) -> bytes:
    """A certificate in PEM. authority: may sign certificates; otherwise it may sign files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    def full_name(common_name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, SUITE),
                          x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])

    uses = dict.fromkeys(('content_commitment', 'key_encipherment', 'data_encipherment', 'key_agreement', 'encipher_only',
                          'decipher_only'), False)
    uses |= {'digital_signature': not authority, 'key_cert_sign': authority, 'crl_sign': authority}
    now = datetime.now(timezone.utc)
    builder = (x509.CertificateBuilder().subject_name(full_name(name)).issuer_name(full_name(issuer_name))
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=_VALID_DAYS))
               .add_extension(x509.BasicConstraints(authority, None), True)
               .add_extension(x509.KeyUsage(**uses), True)
               .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False))
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _issue(folder: Path) -> None:
    """Write key.pem (mode 0600), chain.pem (certificate and issuer) and root.pem (issuer)."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    issuer_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer_name, name = 'issuer of one machine', 'one machine'
    issuer = _certificate(issuer_name, issuer_key, issuer_name, issuer_key, True)
    (folder / 'chain.pem').write_bytes(_certificate(name, key, issuer_name, issuer_key, False) + issuer)
    (folder / 'root.pem').write_bytes(issuer)
    with open(os.open(folder / 'key.pem', os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'wb') as handle:
        handle.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                       serialization.NoEncryption()))


def config_folder() -> Path:
    """The suite's config folder: in $XDG_CONFIG_HOME if set, otherwise in the default folder of the platform. Raises RuntimeError
    if the user has no home folder."""
    if os.environ.get('XDG_CONFIG_HOME'):
        base = Path(os.environ['XDG_CONFIG_HOME'])
    elif sys.platform == 'win32' and os.environ.get('APPDATA'):
        base = Path(os.environ['APPDATA'])
    else:
        base = Path.home() / ('Library/Application Support' if sys.platform == 'darwin' else '.config')
    return base / SUITE


def _folders() -> tuple[Path, Path | None]:
    """The folder of the certificate, and a second one in the cache of weights from which an existing certificate is moved."""
    folder, cached = config_folder() / 'provenance', None
    with suppress(RuntimeError):
        cached = weights.cache() / 'provenance'
    return folder, cached


def certificate_folder() -> Path:
    """The folder (mode 0700) with key.pem, chain.pem and root.pem, created if missing. Raises ProvenanceError if that fails."""
    try:
        folder, cached = _folders()
    except RuntimeError as error:
        raise ProvenanceError('the user has no home folder for the signing key: name a folder in XDG_CONFIG_HOME, or write '
                              'without credentials by --provenance off') from error
    try:
        if not (folder / 'key.pem').is_file():
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix='.provenance.', dir=folder.parent))  # mode 0700
            try:
                if cached and (cached / 'key.pem').is_file():
                    for name in _FILES:
                        shutil.copyfile(cached / name, temporary / name)
                    (temporary / 'key.pem').chmod(0o600)
                else:
                    _issue(temporary)
                os.rename(temporary, folder)
            except OSError:
                if not (folder / 'key.pem').is_file():  # not created by another process in the meantime
                    raise
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            if cached:
                shutil.rmtree(cached, ignore_errors=True)
    except OSError as error:
        raise ProvenanceError(f'the signing key cannot be stored in {folder} ({error.strerror or error}): name another folder '
                              'in XDG_CONFIG_HOME, or write without credentials by --provenance off') from error
    return folder


def issuer_certificate() -> Path | None:
    """root.pem of this machine, or None if there is no readable one."""
    with suppress(RuntimeError, OSError):
        return next((folder / 'root.pem' for folder in _folders() if folder and (folder / 'root.pem').is_file()), None)
    return None
