"""Certificates made by the OpenSSL program, as operators make them (S22)."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

ORGANISATION = "Tiefgarage Köln GmbH"


def openssl(folder: Path, *words: str) -> str:
    """Run one command there and return what it printed."""
    done = subprocess.run(
        ["openssl", *words], cwd=folder, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, f"openssl {' '.join(words)}\n{done.stderr}"
    return done.stdout


def subject(common_name: str) -> str:
    """Return a subject with umlauts, as ``-subj`` takes it."""
    return f"/C=DE/O={ORGANISATION}/CN={common_name}"


@dataclass(frozen=True)
class Files:
    """A certificate and its key, as texts."""

    certificate: str
    key: str


@dataclass(frozen=True)
class OpensslRoot:
    """A root with a protected key of 4096 bits, and what it signs."""

    folder: Path
    passphrase: str
    common_name: str

    def make(self) -> Files:
        """Make root.key and root.crt; the key is returned as it is stored, protected."""
        secret = f"pass:{self.passphrase}"
        openssl(self.folder, "genrsa", "-aes256", "-passout", secret, "-out", "root.key", "4096")
        openssl(
            self.folder,
            *("req", "-x509", "-new", "-utf8", "-key", "root.key", "-passin", secret, "-sha256"),
            *("-days", "3650", "-subj", subject(self.common_name), "-out", "root.crt"),
        )
        return self._files("root")

    def sign(self, request: str, *, names: str = "", days: int = 365) -> str:
        """Sign a request; ``names`` is a subjectAltName as OpenSSL writes it."""
        (self.folder / "signing.csr").write_text(request)
        extensions = f"subjectAltName = {names}\n" if names else "basicConstraints = CA:FALSE\n"
        (self.folder / "extensions.cnf").write_text(extensions)
        openssl(
            self.folder,
            *("x509", "-req", "-in", "signing.csr", "-CA", "root.crt", "-CAkey", "root.key"),
            *("-passin", f"pass:{self.passphrase}", "-CAcreateserial", "-days", str(days)),
            *("-sha256", "-extfile", "extensions.cnf", "-out", "signed.crt"),
        )
        return (self.folder / "signed.crt").read_text()

    def pair(self, name: str, *, names: str = "", days: int = 365) -> Files:
        """Make a key, a request and the certificate that this root signs."""
        openssl(self.folder, "genrsa", "-out", f"{name}.key", "2048")
        request = openssl(
            self.folder, "req", "-new", "-utf8", "-key", f"{name}.key", "-subj", subject(name)
        )
        certificate = self.sign(request, names=names, days=days)
        return Files(certificate, (self.folder / f"{name}.key").read_text())

    def _files(self, name: str) -> Files:
        certificate = (self.folder / f"{name}.crt").read_text()
        return Files(certificate, (self.folder / f"{name}.key").read_text())


def self_signed(folder: Path, name: str, *, key: str = "rsa:2048", days: str = "30") -> Files:
    """Make a certificate that nobody else signed."""
    openssl(
        folder,
        *("req", "-x509", "-utf8", "-newkey", key, "-nodes", "-days", days),
        *("-subj", subject(name), "-keyout", f"{name}.key", "-out", f"{name}.crt"),
    )
    return Files((folder / f"{name}.crt").read_text(), (folder / f"{name}.key").read_text())


def request_of(folder: Path, name: str, *, algorithm: str = "EC") -> str:
    """Make a station's signing request, as its firmware does with OpenSSL."""
    option = {"EC": "ec_paramgen_curve:prime256v1", "RSA": "rsa_keygen_bits:2048"}[algorithm]
    openssl(folder, "genpkey", "-algorithm", algorithm, "-pkeyopt", option, "-out", "station.key")
    return openssl(folder, "req", "-new", "-utf8", "-key", "station.key", "-subj", subject(name))
