"""Ed25519 keys: one private key that signs bundles, and a folder of public keys that are trusted."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from core.domain.errors import ConfigError
from signals.errors import BundleUnsigned


def raw_public(key: Ed25519PublicKey) -> bytes:
    """Return the 32 bytes of a public key."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id(key: Ed25519PublicKey) -> str:
    """Return the short name of a key: 16 hex digits of the sha256 of its bytes."""
    return hashlib.sha256(raw_public(key)).hexdigest()[:16]


class SigningKey:
    """A private key; its bytes never appear in a repr, log or error."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key()
        self.id = key_id(self.public)

    def __repr__(self) -> str:
        return f"SigningKey({self.id})"

    @classmethod
    def generate(cls, path: Path) -> SigningKey:
        """Make a key and write it to a new file that only its owner can read.

        Raises
        ------
        ConfigError
            The file exists: a key is never overwritten.
        """
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            mend = "choose another file: beta bundle keygen --out FILE"
            raise ConfigError(
                "cannot write a new key", f"{path}: {error.strerror}", mend
            ) from error
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
        return cls(key)

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Read a private key; refuse a file that others can read.

        Raises
        ------
        ConfigError
            Missing, not an ed25519 key, or readable by group or others.
        """
        mend = "beta bundle keygen --out FILE"
        try:
            mode, pem = path.stat().st_mode, path.read_bytes()
        except OSError as error:
            raise ConfigError(
                "cannot read the signing key", f"{path}: {error.strerror}", mend
            ) from error
        if mode & 0o077:
            raise ConfigError(
                "others can read the signing key", oct(mode & 0o777), f"chmod 600 {path}"
            )
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise ConfigError("not a signing key", path, mend) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError("not an ed25519 key", type(key).__name__, mend)
        return cls(key)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of a message."""
        return self._key.sign(message)


class TrustStore:
    """A folder of public keys (``<id>.pub``, PEM) whose signatures are accepted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, key: Ed25519PublicKey) -> Path:
        """Trust a key from now on."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{key_id(key)}.pub"
        path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return path

    def add_file(self, path: Path) -> Path:
        """Trust the public key in a PEM file.

        Raises
        ------
        ConfigError
            Not an ed25519 public key.
        """
        try:
            key = load_pem_public_key(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError("not a public key", path, "beta bundle trust KEY.pub") from error
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigError("not an ed25519 key", type(key).__name__, "beta bundle trust KEY.pub")
        return self.add(key)

    def ids(self) -> list[str]:
        """Return the ids of all trusted keys."""
        return sorted(p.stem for p in self.folder.glob("*.pub"))

    def verify(self, key: str, signature: bytes, message: bytes) -> None:
        """Check a signature by a trusted key.

        Raises
        ------
        BundleUnsigned
            The key is not trusted, or the signature is not by it.
        """
        path = self.folder / f"{key}.pub"
        if key not in self.ids():
            mend = f"if you know its owner: beta bundle trust {key}.pub"
            raise BundleUnsigned("bundle is signed by a key that is not trusted", key, mend)
        public = load_pem_public_key(path.read_bytes())
        if not isinstance(public, Ed25519PublicKey) or key_id(public) != key:
            raise BundleUnsigned(
                "trusted key file does not hold the key of its name",
                path,
                "beta bundle trust PUBLIC writes it again",
            )
        try:
            public.verify(signature, message)
        except InvalidSignature as error:
            mend = "get the bundle again from its source"
            raise BundleUnsigned("signature does not match the manifest", key, mend) from error
