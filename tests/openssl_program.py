"""The ``openssl`` program: certificates as the source document makes them, a client, a server."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from shared.contracts.certificate import KeyPair

PASSPHRASE = "Geheim für die Garage"
CONFIGURATION = """\
[req]
prompt = no
distinguished_name = dn
req_extensions = ext

[dn]
CN = {name}
emailAddress = info@tiefgarage-koeln.de
O = Tiefgarage Köln GmbH
OU = Abteilung 13
L = Köln
C = DE

[ext]
subjectAltName = DNS:tiefgarage-koeln.de,DNS:*.tiefgarage-koeln.de
"""
UPGRADE = (
    b"GET /%s HTTP/1.1\r\nHost: parkade\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
)
PATIENCE_S = 20.0


def openssl(*arguments: str | Path) -> str:
    """Run a command of OpenSSL; its complaint is the message of the failure."""
    done = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Paper:
    """A certificate and its key, as files."""

    folder: Path
    name: str

    @property
    def certificate(self) -> Path:
        return self.folder / f"{self.name}.crt"

    @property
    def key(self) -> Path:
        return self.folder / f"{self.name}.key"

    @property
    def pem(self) -> str:
        return self.certificate.read_text(encoding="utf-8")

    @property
    def pair(self) -> KeyPair:
        return KeyPair(
            certificate_id=self.name, certificate_pem=self.pem, key_pem=self.key.read_text()
        )

    @property
    def fingerprint(self) -> str:
        shown = openssl("x509", "-in", self.certificate, "-noout", "-fingerprint", "-sha256")
        return shown.strip().split("=", 1)[1].replace(":", "").lower()


@dataclass(frozen=True)
class Workshop:
    """A folder in which the commands of the source document are typed."""

    folder: Path

    def root(self, name: str, *extra: str) -> Paper:
        """A root of 4096 bits with a passphrase, self-signed."""
        paper, configuration = Paper(self.folder, name), self._configuration(name)
        secret = f"pass:{PASSPHRASE}"
        openssl("genrsa", "-des3", "-passout", secret, "-out", paper.key, "4096")
        openssl(
            *("req", "-x509", "-new", "-nodes", "-key", paper.key, "-passin", secret, "-sha256"),
            *("-days", "365", "-out", paper.certificate, "-config", configuration, "-utf8", *extra),
        )
        return paper

    def signed(self, name: str, root: Paper, *, ec: bool = False, names: bool = False) -> Paper:
        """A key, a signing request, and a certificate that the root has signed for it.

        The document's command drops the names of the request; with ``names`` they are kept.
        """
        paper, configuration = self._new_key(name, ec=ec), self._configuration(name)
        request, secret = self.folder / f"{name}.csr", f"pass:{PASSPHRASE}"
        openssl(
            *("req", "-new", "-key", paper.key, "-out", request, "-config", configuration, "-utf8")
        )
        extensions = ("-extfile", configuration, "-extensions", "ext") if names else ()
        openssl(
            *("x509", "-req", "-in", request, "-CA", root.certificate, "-CAkey", root.key),
            *("-passin", secret, "-CAcreateserial", "-out", paper.certificate, "-days", "365"),
            *("-sha256", *extensions),
        )
        return paper

    def self_signed(self, name: str, *, ec: bool = False) -> Paper:
        """A certificate that stands for itself."""
        paper, configuration = self._new_key(name, ec=ec), self._configuration(name)
        openssl(
            *("req", "-x509", "-new", "-key", paper.key, "-sha256", "-days", "365"),
            *("-out", paper.certificate, "-config", configuration, "-utf8"),
        )
        return paper

    def _new_key(self, name: str, *, ec: bool) -> Paper:
        paper = Paper(self.folder, name)
        if ec:
            openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", paper.key)
        else:
            openssl("genrsa", "-out", paper.key, "2048")
        return paper

    def _configuration(self, name: str) -> Path:
        file = self.folder / f"{name}.cnf"
        file.write_text(CONFIGURATION.format(name=name), encoding="utf-8")
        return file


@dataclass(frozen=True)
class Visit:
    """How ``openssl s_client`` fared: the server's HTTP answer, and what the program told."""

    answer: str
    told: str

    @property
    def status(self) -> int | None:
        """The HTTP status; ``None`` when TLS was not made."""
        return int(self.answer.split()[1]) if self.answer else None


async def visit(port: int, *options: str | Path, station: str = "BOX-1") -> Visit:
    """Ask for a WebSocket as this station, through ``openssl s_client``."""
    client = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-brief", "-ign_eof"),
        *map(str, options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    assert client.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.stdin.write(UPGRADE % station.encode())
            await client.stdin.drain()
        answer = await client.stdout.readline()
        with contextlib.suppress(ProcessLookupError):
            client.kill()
        told = await client.stderr.read()
        await client.wait()
        client.stdin.close()
    return Visit(answer.decode(), told.decode(errors="replace"))


@contextlib.asynccontextmanager
async def serving(shown: Paper, *options: str | Path) -> AsyncIterator[int]:
    """Run ``openssl s_server``, which answers every line reversed; yields its port."""
    server = await asyncio.create_subprocess_exec(
        *("openssl", "s_server", "-accept", "127.0.0.1:0", "-rev"),
        *("-cert", str(shown.certificate), "-key", str(shown.key)),
        *map(str, options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert server.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (line := await server.stdout.readline()).startswith(b"ACCEPT"):
                assert line, "s_server did not start"
        yield int(line.rsplit(b":", 1)[1])
    finally:
        server.kill()
        await server.wait()
