"""`beta bundle`: build, sign, verify, install and roll back model bundles."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from signals.bundle import BundleStore

app = typer.Typer(
    help="Build, sign, verify, install and roll back model bundles.", no_args_is_help=True
)
SCHEMA = 1

Store = Annotated[
    str,
    typer.Option("--store", help="Folder of installed bundles (default $BETA_BUNDLES or bundles)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def store_at(option: str) -> BundleStore:
    """Return the store that a command means."""
    from signals.bundle import BundleStore

    return BundleStore(Path(option or os.environ.get("BETA_BUNDLES", "") or "bundles"))


def _install(folder: Path) -> str:
    return f"beta bundle install {folder}"


def _say(as_json: bool, text: str, **fields: object) -> None:
    """Print what was done: a text for a reader, or its fields as JSON."""
    if as_json:
        text = json.dumps({"schema_version": SCHEMA, **fields}, indent=1, default=str)
    print(text)


@app.command()
def keygen(
    out: Annotated[Path, typer.Option(help="New file for the private key.")] = Path("bundle.key"),
    store: Store = "",
    as_json: Json = False,
) -> None:
    """Make a signing key, readable by you alone, and trust its public half in the store."""
    from signals.bundle import SigningKey

    key = SigningKey.generate(out)
    public = store_at(store).trust.add(key.public)
    _say(
        as_json,
        f"{key.id}  private {out}  public {public}\n"
        f"keep {out} secret and out of the repository; on other machines: beta bundle trust {public}",
        key=key.id,
        private=out,
        public=public,
    )


@app.command()
def trust(
    public: Annotated[Path, typer.Argument(help="Public key (PEM) of somebody you know.")],
    store: Store = "",
    as_json: Json = False,
) -> None:
    """Accept bundles that this key signed."""
    kept = store_at(store).trust.add_file(public)
    _say(as_json, str(kept), public=kept)


@app.command()
def build(
    folder: Annotated[Path, typer.Argument(help="Folder that beta train left.")],
    out: Annotated[Path, typer.Option(help="New folder for the bundle.")],
    name: Annotated[str, typer.Option(help="Name to install under.")] = "",
    version: Annotated[str, typer.Option(help="Version; the time of building by default.")] = "",
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days until it expires.")] = 90,
    key: Annotated[Path | None, typer.Option(help="Sign with this key at once.")] = None,
    as_json: Json = False,
) -> None:
    """Write a trained model as a bundle, and prove that the kernel says what torch says."""
    from signals.bundle import SigningKey, sign_bundle
    from signals.export import bundle_from_training

    signer = SigningKey.load(key) if key else None
    now_ns = time.time_ns()
    manifest = bundle_from_training(
        folder, out, name=name, version=version, days=days, now_ns=now_ns
    )
    if signer:
        sign_bundle(out, signer)
    following = _install(out) if signer else f"beta bundle sign {out} --key bundle.key"
    _say(
        as_json,
        f"{out}  {manifest.name}@{manifest.version}  {'signed' if signer else 'not signed'}\n"
        f"next: {following}",
        folder=out,
        name=manifest.name,
        version=manifest.version,
        signed_by=signer.id if signer else None,
    )


@app.command()
def sign(
    folder: Annotated[Path, typer.Argument(help="Bundle.")],
    key: Annotated[Path, typer.Option(help="Private key.")] = Path("bundle.key"),
    as_json: Json = False,
) -> None:
    """Sign a bundle."""
    from signals.bundle import SigningKey, sign_bundle

    signer = SigningKey.load(key)
    sign_bundle(folder, signer)
    said = f"{folder}  signed by {signer.id}\nnext: {_install(folder)}"
    _say(as_json, said, folder=folder, signed_by=signer.id)


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="Bundle.")],
    store: Store = "",
    as_json: Json = False,
) -> None:
    """Check signature, hashes, expiry, kernel, plan and golden vectors."""
    from signals.bundle import load_predictor, read_bundle

    now_ns, trusted = time.time_ns(), store_at(store).trust
    bundle = read_bundle(folder, trusted, now_ns)
    runtime = load_predictor(folder, trusted, now_ns).runtime
    about = bundle.manifest
    report = {
        "schema_version": SCHEMA,
        "ok": True,
        "name": about.name,
        "version": about.version,
        "sha256": bundle.sha256,
        "signed_by": bundle.signed_by,
        "kernel_sha256": about.kernel_sha256,
        "family": about.model.family,
        "head": about.model.head,
        "feature_names": list(about.feature_names),
        "parameters": bundle.plan.parameter_count(),
        "golden_vectors": len(next(iter(bundle.golden.values()))),
        "fuel_per_call": runtime.cost,
        "trained_until_ns": about.trained_until_ns,
        "expires_ns": about.expires_ns,
    }
    if as_json:
        print(json.dumps(report, indent=1))
        return
    for field, value in report.items():
        if field not in {"schema_version", "ok"}:
            print(f"{field:16} {value}")
    print("verified")


@app.command()
def install(
    folder: Annotated[Path, typer.Argument(help="Bundle.")],
    store: Store = "",
    as_json: Json = False,
) -> None:
    """Verify a bundle, copy it into the store and switch to it."""
    place = store_at(store)
    name, version = place.install(folder, time.time_ns())
    at = place.folder / name
    _say(
        as_json,
        f"{name}@{version} is current; strategies that start serve it: -p bundle={at}",
        name=name,
        version=version,
        folder=at,
    )


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    store: Store = "",
    as_json: Json = False,
) -> None:
    """Switch back to the version before, if it still verifies."""
    left, now = store_at(store).rollback(name, time.time_ns())
    _say(
        as_json,
        f"{name}@{now} is current (was {left}); what runs keeps its model until it starts again",
        name=name,
        version=now,
        left=left,
    )


@app.command(name="list")
def list_bundles(store: Store = "", as_json: Json = False) -> None:
    """Show installed bundles and which one is served."""
    from dataclasses import asdict

    place = store_at(store)
    rows = place.installed(time.time_ns())
    if as_json:
        print(
            json.dumps({"schema_version": SCHEMA, "bundles": [asdict(r) for r in rows]}, indent=1)
        )
        return
    if not rows:
        print(f"nothing is installed in {place.folder}; to install: beta bundle install FOLDER")
    for row in rows:
        until = (
            time.strftime("%Y-%m-%d", time.gmtime(row.expires_ns / 1e9)) if row.expires_ns else "-"
        )
        print(f"{row.name}@{row.version:24} {row.state:9} until {until}  {row.problem}".rstrip())
