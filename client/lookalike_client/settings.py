"""The client's settings, read from the environment once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.wire import proxies as wire_proxies
from lookalike.wire.channel import TlsFiles
from lookalike.wire.errors import InvalidField
from lookalike.wire.tokens import GivenToken, Token, TokenFile

DEFAULT_ADDRESS = "127.0.0.1:50051"

_SWITCH = {"": False, "0": False, "false": False, "1": True, "true": True}


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Where the search service is, how to connect to it, and where `sync` keeps its state.

    `named`: somebody gave the address, so that it is not the default one.
    """

    address: str = DEFAULT_ADDRESS
    tls_ca: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    use_tls: bool = False
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    use_proxy: bool = False
    sync_state: Path = Path("sync.sqlite")
    named: bool = False
    # Opens the page of `lookalike web`; "" makes one at each start.
    web_token: str = field(default="", repr=False)

    @property
    def tls(self) -> TlsFiles | None:
        """TLS is on when it is asked for, or an authority to trust or a certificate is named."""
        if self.tls_ca is None and self.tls_certificate is None and not self.use_tls:
            return None
        return TlsFiles(ca=self.tls_ca, certificate=self.tls_certificate, key=self.tls_key)

    @property
    def key(self) -> str | Path | None:
        """The API key, or the file that holds it."""
        return self.token or self.token_file


def token_of(given: str | Path | None) -> Token | None:
    """Return what gives an API key that is given as text, or as the file that holds it.

    Raises:
        InvalidField: there is none.
    """
    if given is None:
        return None
    return TokenFile(given) if isinstance(given, Path) else GivenToken(given)


def load(environ: Mapping[str, str]) -> ClientSettings:
    """Read LOOKALIKE_ADDRESS, LOOKALIKE_USE_PROXY, LOOKALIKE_TLS, LOOKALIKE_TLS_CA, _CERTIFICATE
    and _KEY, LOOKALIKE_TOKEN or LOOKALIKE_TOKEN_FILE, LOOKALIKE_WEB_TOKEN, and
    LOOKALIKE_SYNC_STATE, which by default lies where XDG_STATE_HOME says.

    Raises:
        InvalidField: LOOKALIKE_USE_PROXY or LOOKALIKE_TLS is neither on nor off.
    """

    def path(name: str) -> Path | None:
        value = environ.get(name)
        return Path(value) if value else None

    return ClientSettings(
        address=environ.get("LOOKALIKE_ADDRESS") or DEFAULT_ADDRESS,
        tls_ca=path("LOOKALIKE_TLS_CA"),
        tls_certificate=path("LOOKALIKE_TLS_CERTIFICATE"),
        tls_key=path("LOOKALIKE_TLS_KEY"),
        use_tls=_switch("LOOKALIKE_TLS", environ),
        token=environ.get("LOOKALIKE_TOKEN") or None,
        token_file=path("LOOKALIKE_TOKEN_FILE"),
        use_proxy=_switch(wire_proxies.OPTION, environ),
        named=bool(environ.get("LOOKALIKE_ADDRESS")),
        web_token=environ.get("LOOKALIKE_WEB_TOKEN", ""),
        sync_state=path("LOOKALIKE_SYNC_STATE") or _state_home(environ) / "lookalike/sync.sqlite",
    )


def proxies(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Read the variables that name proxies, and hosts to be reached without one."""
    return wire_proxies.named(environ)


def _state_home(environ: Mapping[str, str]) -> Path:
    named = Path(environ.get("XDG_STATE_HOME", ""))
    # What is relative is to be ignored, by the XDG Base Directory Specification.
    return named if named.is_absolute() else Path(environ.get("HOME") or "~") / ".local/state"


def _switch(name: str, environ: Mapping[str, str]) -> bool:
    value = environ.get(name, "").lower()
    if value not in _SWITCH:
        raise InvalidField(name, f"must be 1 or 0, got {value!r}")
    return _SWITCH[value]
