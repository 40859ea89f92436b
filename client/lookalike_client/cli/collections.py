"""`lookalike collections`."""

from __future__ import annotations

import click

from lookalike_client.cli.collection_report import print_collection
from lookalike_client.cli.session import Session, confirm, connected, grouping, one_collection
from lookalike_client.types import DuplicateSettings, IndexSettings
from lookalike_client.types.collections import THUMBNAIL_SIDE_PX

PRESETS = click.Choice(["fast", "balanced", "accurate", "lean"])
_SCALARS = click.Choice(["f32", "f16", "bf16", "i8", "i4"])
_POLICIES = click.Choice(["off", "accept", "flag", "reject"])


_option = click.option("-c", "--collection", help="The same as NAME.")
_thumbnails = click.option(
    "--thumbnails",
    "thumbnail_side_px",
    is_flag=False,
    flag_value=THUMBNAIL_SIDE_PX,
    type=click.IntRange(0, 256),
    metavar="[SIDE]",
    help="Keep a small picture of each image, SIDE pixels long: 32 to 256, 256 by default; "
    "0 for none.",
)


@click.group(invoke_without_command=True)
@grouping
def collections(context: click.Context) -> None:
    """Create, show, change and delete collections and aliases; list them by default."""
    if context.invoked_subcommand is None:
        context.invoke(list_collections)


@collections.command("list")
@connected
def list_collections(session: Session) -> None:
    """List collections."""
    with session.client() as client:
        found = list(client.collections.list())
    if session.output.as_json:
        session.output.document({"collections": found})
        return
    session.output.table(
        "",
        ["name", "items>", "dimension>", "preset", "model", "aliases"],
        [
            (
                each.name,
                f"{each.stats.items:,}",
                each.dimension,
                each.index.preset,
                each.model_fingerprint[:12] or "(external vectors)",
                ", ".join(each.aliases),
            )
            for each in found
        ],
    )


@collections.command()
@click.argument("name", required=False)
@_option
@connected
def show(session: Session, name: str | None, collection: str | None) -> None:
    """Show one collection, by name or alias."""
    name = one_collection(name, collection)
    with session.client() as client:
        print_collection(session.output, client.collections.get(name))


@collections.command()
@click.argument("name", required=False)
@_option
@click.option("--model", default="", help="Name or fingerprint; the embedder's default if absent.")
@click.option("--external-vectors", is_flag=True, help="The caller makes the vectors.")
@click.option("--dimension", type=click.IntRange(2, 4096), help="Needed with external vectors.")
@click.option("--preset", type=PRESETS, default="balanced", show_default=True)
@click.option("--scalar-type", type=_SCALARS, help="How vectors are held in the graph.")
@click.option("--connectivity", type=click.IntRange(4, 128), help="Links a node.")
@click.option("--expansion-add", type=click.IntRange(16, 2000), help="Candidates at build.")
@click.option("--expansion-search", type=click.IntRange(16, 4000), help="Candidates at search.")
@click.option("--graph-dimension", type=click.IntRange(0, 4096), help="0: the full vectors.")
@click.option("--duplicates", type=_POLICIES, default="off", show_default=True)
@click.option("--threshold", type=click.FloatRange(0, 1), help="Least cosine of a duplicate.")
@_thumbnails
@click.option(
    "--vector",
    "vectors",
    multiple=True,
    metavar="NAME=MODEL",
    help="Vectors by a name besides, of another model, or of so many dimensions of your own. May"
    " be given again.",
)
@click.option("--partitions", type=click.IntRange(1, 256), help="Parts, on a cluster.")
@click.option("--replicas", type=click.IntRange(1, 8), help="Copies of each, on a cluster.")
@connected
def create(
    session: Session,
    name: str | None,
    collection: str | None,
    model: str,
    external_vectors: bool,
    dimension: int | None,
    preset: str,
    scalar_type: str | None,
    connectivity: int | None,
    expansion_add: int | None,
    expansion_search: int | None,
    graph_dimension: int | None,
    duplicates: str,
    threshold: float | None,
    thumbnail_side_px: int | None,
    vectors: tuple[str, ...],
    partitions: int | None,
    replicas: int | None,
) -> None:
    """Create an empty collection."""
    name = one_collection(name, collection)
    if external_vectors and model:
        raise click.UsageError("Give --model or --external-vectors, one of them.")
    if external_vectors and dimension is None:
        raise click.UsageError("--external-vectors needs --dimension.")
    index = IndexSettings(
        preset=preset,
        scalar_type=scalar_type,
        connectivity=connectivity,
        expansion_add=expansion_add,
        expansion_search=expansion_search,
        graph_dimension=graph_dimension,
    )
    with session.client() as client:
        created = client.collections.create(
            name,
            model=None if external_vectors else model,
            dimension=dimension or 0,
            index=index,
            duplicates=_duplicates(duplicates, threshold),
            thumbnail_side_px=thumbnail_side_px or 0,
            partitions=partitions or 0,
            replicas=replicas or 0,
            vectors=_names(vectors),
        )
    print_collection(session.output, created)


def _names(texts: tuple[str, ...]) -> dict[str, str | int]:
    names = dict(map(_named, texts))
    if len(names) < len(texts):
        raise click.UsageError("--vector: a name comes twice.")
    return names


def _named(text: str) -> tuple[str, str | int]:
    name, told, model = text.partition("=")
    if not (name and told):
        raise click.UsageError(f"--vector takes NAME=MODEL, or NAME=DIMENSION: {text!r}")
    return name, int(model) if model.isdecimal() else model


@collections.command()
@click.argument("name", required=False)
@_option
@click.option("--duplicates", type=_POLICIES, help="What happens to near-duplicates.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="Least cosine of a duplicate; the calibrated one if there is one.",
)
@click.option("--expansion-search", type=click.IntRange(16, 4000), help="Candidates at search.")
@_thumbnails
@connected
def update(
    session: Session,
    name: str | None,
    collection: str | None,
    duplicates: str | None,
    threshold: float | None,
    expansion_search: int | None,
    thumbnail_side_px: int | None,
) -> None:
    """Change settings of a collection."""
    name = one_collection(name, collection)
    if duplicates is None and threshold is not None:
        raise click.UsageError("--threshold goes with --duplicates.")
    with session.client() as client:
        changed = client.collections.update(
            name,
            duplicates=DuplicateSettings(duplicates, threshold or 0.0) if duplicates else None,
            expansion_search=expansion_search,
            thumbnail_side_px=thumbnail_side_px,
        )
    print_collection(session.output, changed)


@collections.command("delete")
@click.argument("name", required=False)
@_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@connected
def delete_collection(
    session: Session, name: str | None, collection: str | None, yes: bool
) -> None:
    """Delete a collection with its items."""
    name = one_collection(name, collection)
    if not yes:
        confirm(f"Delete {name} with all its items?")
    with session.client() as client:
        items = client.collections.delete(name)
    if session.output.as_json:
        session.output.document({"name": name, "deleted_items": items})
    else:
        session.output.text(f"deleted {name} with {items:,} items")


@collections.command("alias")
@click.argument("alias")
@click.argument("collection", required=False)
@click.option("-c", "--collection", "named", help="The same as COLLECTION.")
@click.option("--delete", "remove", is_flag=True, help="Remove the alias.")
@connected
def set_alias(
    session: Session, alias: str, collection: str | None, named: str | None, remove: bool
) -> None:
    """Point ALIAS at COLLECTION, or --delete it."""
    if named is not None:
        collection = one_collection(collection, named)
    if (collection is None) != remove:
        raise click.UsageError("Give a COLLECTION, or --delete.")
    with session.client() as client:
        if collection is None:
            client.collections.delete_alias(alias)
            document: dict[str, object] = {"alias": alias, "deleted": True}
            text = f"removed the alias {alias}"
        else:
            previous = client.collections.set_alias(alias, collection)
            document = {
                "alias": alias,
                "collection": collection,
                "previous_collection": previous or None,
            }
            text = f"{alias} -> {collection}" + (f" (before: {previous})" if previous else "")
    if session.output.as_json:
        session.output.document(document)
    else:
        session.output.text(text)


@collections.command("aliases")
@connected
def list_aliases(session: Session) -> None:
    """List aliases."""
    with session.client() as client:
        found = list(client.collections.aliases())
    if session.output.as_json:
        session.output.document({"aliases": found})
    else:
        session.output.table(
            "", ["alias", "collection"], [(each.alias, each.collection) for each in found]
        )


def _duplicates(policy: str, threshold: float | None) -> DuplicateSettings:
    if policy != "off" and threshold is None:
        raise click.UsageError("--duplicates needs --threshold: it depends on your pictures.")
    return DuplicateSettings(policy, threshold or 0.0)
