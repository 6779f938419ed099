"""Certificates of a cluster."""

from __future__ import annotations

import json
import os
import ssl
from typing import Any

from oxidask import _oxidask, config

__all__ = ["Security"]

_ROLES = ("scheduler", "worker", "client")
_FIELDS = (
    "require_encryption",
    "tls_ca_file",
    "tls_ciphers",
    "tls_client_key",
    "tls_client_cert",
    "tls_scheduler_key",
    "tls_scheduler_cert",
    "tls_worker_key",
    "tls_worker_cert",
    "tls_max_version",
    "tls_min_version",
)
_VERSIONS = {1.2: ssl.TLSVersion.TLSv1_2, 1.3: ssl.TLSVersion.TLSv1_3}


class Security:
    """What the members of a cluster encrypt with, and whose certificates they accept.

    Connections that leave the machine are always encrypted, with certificates
    made on the fly, and members always prove that they know the cluster's
    secret. This class is for certificates of one's own.

    Parameters
    ----------
    require_encryption : bool, optional
        Whether unencrypted connections are refused; they are in any case where
        they would leave the machine.
    tls_ca_file : str, optional
        Certificates of the authority: a file, or the PEM text itself.
    tls_client_cert, tls_client_key, tls_scheduler_cert, … : str, optional
        Certificate and key of each role: files or PEM texts.
    tls_ciphers : str, optional
        Without effect: TLS 1.3 knows safe ones only.
    tls_min_version, tls_max_version : {1.2, 1.3}
        Version 1.3 is what is spoken.

    Examples
    --------
    >>> security = Security.temporary()
    >>> security.require_encryption
    True
    """

    def __init__(self, require_encryption: bool | None = None, **kwargs: Any) -> None:
        extra = sorted(set(kwargs) - set(_FIELDS))
        if extra:
            raise TypeError(f"Security has no arguments {extra!r}")
        if require_encryption is None:
            require_encryption = config.get("distributed.comm.require-encryption", None)
        given = kwargs.get("tls_ca_file") is not None
        self.require_encryption: bool = given if require_encryption is None else bool(require_encryption)
        self.tls_ca_file = _setting(kwargs, "tls_ca_file", "ca-file")
        self.tls_ciphers = _setting(kwargs, "tls_ciphers", "ciphers")
        for role in _ROLES:
            for part in ("key", "cert"):
                name = f"tls_{role}_{part}"
                setattr(self, name, _setting(kwargs, name, f"{role}.{part}"))
        self.tls_min_version = _version(kwargs, "min", ssl.TLSVersion.TLSv1_2)
        self.tls_max_version = _version(kwargs, "max", None)
        self._json: str | None = None

    @classmethod
    def temporary(cls, **kwargs: Any) -> Security:
        """Fresh certificates for one cluster.

        Their authority's key is thrown away, so nobody else can make more.

        Examples
        --------
        >>> "BEGIN CERTIFICATE" in Security.temporary().tls_ca_file
        True
        """
        made = _oxidask.temporary_security()
        texts = json.loads(made)["certificates"]
        fields = {"tls_ca_file": texts["authority"]}
        for role in _ROLES:
            fields[f"tls_{role}_cert"], fields[f"tls_{role}_key"] = texts["certificate"], texts["key"]
        security = cls(**{"require_encryption": True, **fields, **kwargs})
        security._json = made
        return security

    def _to_json(self) -> str | None:
        """As the engine reads it."""
        if self._json is not None:
            return self._json
        cert, key = self.tls_client_cert, self.tls_client_key  # type: ignore[attr-defined]
        if self.tls_ca_file is None or cert is None or key is None:
            return None
        certificates = {"authority": _text(self.tls_ca_file), "certificate": _text(cert), "key": _text(key)}
        return json.dumps({"certificates": certificates, "allows_plain": not self.require_encryption})

    def get_tls_config_for_role(self, role: str) -> dict[str, Any]:
        """The files of one role.

        Examples
        --------
        >>> sorted(Security.temporary().get_tls_config_for_role("client"))
        ['ca_file', 'cert', 'ciphers', 'key']
        """
        if role not in _ROLES:
            raise ValueError(f"unknown role {role!r}; the roles are {', '.join(_ROLES)}")
        return {
            "ca_file": self.tls_ca_file,
            "ciphers": self.tls_ciphers,
            "cert": getattr(self, f"tls_{role}_cert"),
            "key": getattr(self, f"tls_{role}_key"),
        }

    def get_connection_args(self, role: str) -> dict[str, Any]:
        """What a connection of a role needs: ``ssl_context`` and ``require_encryption``."""
        return self._args(role, ssl.Purpose.SERVER_AUTH)

    def get_listen_args(self, role: str) -> dict[str, Any]:
        """What a listener of a role needs: ``ssl_context`` and ``require_encryption``."""
        return self._args(role, ssl.Purpose.CLIENT_AUTH)

    def _args(self, role: str, purpose: ssl.Purpose) -> dict[str, Any]:
        files = self.get_tls_config_for_role(role)
        context = None
        if files["ca_file"] is not None and files["cert"] is not None:
            context = ssl.create_default_context(purpose, cadata=_text(files["ca_file"]))
            context.verify_mode = ssl.CERT_REQUIRED
            context.check_hostname = False
            context.minimum_version = self.tls_min_version
            if self.tls_max_version is not None:
                context.maximum_version = self.tls_max_version
            _load(context, _text(files["cert"]), _text(files["key"]))
        return {"ssl_context": context, "require_encryption": self.require_encryption, "extra_conn_args": {}}

    def __repr__(self) -> str:
        shown = []
        for name in _FIELDS:
            value = getattr(self, name, None)
            if value is None:
                continue
            if isinstance(value, str) and "\n" in value:
                value = "..."
            shown.append(f"{name}={value!r}")
        return f"Security({', '.join(shown)})"

    def _repr_html_(self) -> str:
        import html

        return f"<b>Security</b> <code>{html.escape(repr(self))}</code>"


def _setting(kwargs: dict[str, Any], name: str, key: str) -> Any:
    if name in kwargs:
        return kwargs[name]
    return config.get(f"distributed.comm.tls.{key}", None)


def _version(kwargs: dict[str, Any], which: str, default: Any) -> Any:
    name, key = f"tls_{which}_version", f"distributed.comm.tls.{which}-version"
    value = kwargs.get(name)
    where = name
    if value is None:
        value, where = config.get(key, None), key
    if value is None or isinstance(value, ssl.TLSVersion):
        return default if value is None else value
    if value not in _VERSIONS:
        raise ValueError(f"{where}={value!r} is not supported, expected one of {list(_VERSIONS)}")
    return _VERSIONS[value]


def _text(file_or_text: str) -> str:
    if "\n" in file_or_text:
        return file_or_text
    with open(file_or_text, encoding="ascii") as file:
        return file.read()


def _load(context: ssl.SSLContext, cert: str, key: str) -> None:
    """Python's ssl reads certificates from files only."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, text in (("cert", cert), ("key", key)):
            path = os.path.join(folder, name)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
            paths.append(path)
        context.load_cert_chain(*paths)
