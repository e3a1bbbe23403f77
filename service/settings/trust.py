"""TLS: whom we believe, and who we are.

We believe those whose certificate leads to a file of one's own, or to the system's certificates. Where somebody asks
who we are, we show a certificate. Files may change while the service runs: `mutual` reads them for every connection,
`Trust` when they changed, so that until then connections are kept for the next call.
"""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NoReturn

from service.errors import CertificateUnusable, SettingInvalid
from service.settings.files import Watched


def leading_to(ca_file: Path | None, setting: str) -> ssl.SSLContext:
    """A context that checks certificate and name; `setting` (without prefix) is where the file was named.

    Raises:
        SettingInvalid: the file cannot be read, or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise SettingInvalid(setting=f"CATALOG_MIRROR_{setting}", problem=f"{ca_file}: {error}") from None


class Trust:
    """Whom we believe, in a process that runs on: connections that begin later go by what the file holds then.

    Args:
        setting: where the file was named, without prefix.
        beside: the system's certificates count, too.

    Raises:
        SettingInvalid: the file cannot be read, or holds no certificate.
    """

    def __init__(self, ca_file: Path | None, setting: str, *, beside: bool = False) -> None:
        def believing(file: Path) -> ssl.SSLContext:
            context = ssl.create_default_context(cafile=None if beside else str(file))
            if beside:
                context.load_verify_locations(cafile=str(file))
            return context

        self._of_system = _of_system() if ca_file is None else None
        try:
            self._of_file = Watched(ca_file, believing) if ca_file is not None else None
        except OSError as error:
            raise SettingInvalid(setting=f"CATALOG_MIRROR_{setting}", problem=f"{ca_file}: {error}") from None

    @property
    def context(self) -> ssl.SSLContext:
        """What certificates are checked with from now on."""
        found = self._of_file.value if self._of_file is not None else self._of_system
        assert found is not None
        return found


@cache
def _of_system() -> ssl.SSLContext:
    """Believes the system's certificates and shows none of ours: one for all, as reading them takes 40 ms."""
    return ssl.create_default_context()


def mutual(section: str, ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """A context as `leading_to` makes it, which also shows our certificate where there is one.

    Args:
        section: the section of the settings that named the files, such as `AMQP`.
        cert_file: our certificate (PEM), and those between it and its CA; it may hold the key, too.
        key_file: its private key (PEM), without a passphrase.

    Raises:
        SettingInvalid: a file cannot be used; `CertificateUnusable` where it is our certificate or its key.
    """
    context = leading_to(ca_file, f"{section}__CA_FILE")
    own = _Own(section, cert_file, key_file)
    if cert_file is not None:
        own.show_in(context, cert_file)
    elif key_file is not None:
        own.refuse_certificate("it is not set, and a key is", "Name the certificate (PEM) that the key belongs to.")
    return context


#: Words in which TLS fails, looked for in this order → what to do.
_REMEDIES = (
    ("Hostname mismatch", "Name it in {url} as its certificate does, or have the certificate name what stands there."),
    (
        "IP address mismatch",
        "Name it in {url} as its certificate does, or have the certificate name what stands there.",
    ),
    ("certificate has expired", "Ask its owner for a new certificate; the service goes on by itself then."),
    ("CERTIFICATE_VERIFY_FAILED", "Set {ca} to the certificates (PEM) that its certificate leads to."),
    ("ALERT_CERTIFICATE_REQUIRED", "It asks for a certificate of ours: set {cert} and {key}."),
    (
        "ALERT_UNKNOWN_CA",
        "It does not believe ours: have {cert} signed by a CA that it trusts, with all between in it.",
    ),
    ("ALERT_CERTIFICATE_EXPIRED", "Ours has expired by its clock: put a new pair where {cert} and {key} say."),
    ("[SSL:", "It refuses us, its log says why. If it asks for a certificate of ours: {cert} and {key}."),
)


def advice(problem: str, section: str) -> str | None:
    """What to do where a link of this section ended with these words; None: they are not about TLS."""
    prefix = f"CATALOG_MIRROR_{section}__"
    names = {name: prefix + setting for name, setting in _SETTINGS.items()}
    return next((remedy.format(**names) for words, remedy in _REMEDIES if words in problem), None)


_SETTINGS = {"url": "URL", "ca": "CA_FILE", "cert": "CERT_FILE", "key": "KEY_FILE"}


class _Own:
    """Our certificate and its key, with what a person does about either."""

    def __init__(self, section: str, cert_file: Path | None, key_file: Path | None) -> None:
        self._certificate = f"CATALOG_MIRROR_{section}__CERT_FILE"
        self._key = f"CATALOG_MIRROR_{section}__KEY_FILE" if key_file else self._certificate
        self._key_file = key_file or cert_file

    def refuse_certificate(self, problem: str, ask: str) -> NoReturn:
        """Raise what is wrong with the certificate."""
        raise CertificateUnusable(setting=self._certificate, problem=problem, ask=ask) from None

    def _refuse_key(self, problem: str, ask: str) -> NoReturn:
        raise CertificateUnusable(setting=self._key, problem=problem, ask=ask) from None

    def show_in(self, context: ssl.SSLContext, cert_file: Path) -> None:
        """Have a context show them."""
        self._look_at_certificate(cert_file)
        key_file = self._key_file or cert_file
        self._look_at_key(key_file)
        try:
            context.load_cert_chain(cert_file, key_file, password=self._refuse_passphrase)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                problem = f"the key in {key_file} is not that of the certificate in {cert_file}"
                self._refuse_key(problem, "Put the two that belong together there; a new pair is taken at once.")
            self._refuse_key(f"{key_file} holds no private key (PEM)", "Put the certificate's own key there.")

    def _look_at_certificate(self, cert_file: Path) -> None:
        from cryptography import x509  # no small import, and few have a certificate

        try:
            (first, *_) = x509.load_pem_x509_certificates(cert_file.read_bytes())
        except OSError as error:
            self.refuse_certificate(
                f"{cert_file}: {error.strerror}", "Put the certificate (PEM) there, to be read by us."
            )
        except ValueError:
            self.refuse_certificate(f"{cert_file} holds no certificate", "It must be in PEM form (BEGIN CERTIFICATE).")
        now = datetime.now(UTC)
        if now > (end := first.not_valid_after_utc):
            self.refuse_certificate(f"the certificate in {cert_file} has expired at {end}", _ANOTHER)
        if now < (begin := first.not_valid_before_utc):
            self.refuse_certificate(f"the certificate in {cert_file} is not valid before {begin}", _ANOTHER)

    def _look_at_key(self, key_file: Path) -> None:
        """A key that everybody on the machine may read is no secret: libpq and OpenSSH refuse such a one, too."""
        try:
            mode = key_file.stat().st_mode
            with key_file.open("rb"):
                pass
        except OSError as error:
            self._refuse_key(f"{key_file}: {error.strerror}", "Put the private key (PEM) there, to be read by us.")
        if mode & stat.S_IRWXO:
            self._refuse_key(
                f"everybody may read {key_file} (mode {stat.S_IMODE(mode):04o})",
                f"chmod 600 {key_file}, or 640 with a group of ours; in Kubernetes `defaultMode: 0440`.",
            )

    def _refuse_passphrase(self) -> NoReturn:
        ask = "Put it there without one: openssl pkey -in KEY -out NEW. Nobody is here to type it."
        self._refuse_key(f"the key in {self._key_file} asks for a passphrase", ask)


_ANOTHER = "Put a valid one there, and look at this machine's clock; it is taken at the next connection."
