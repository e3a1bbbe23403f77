"""What the views say, column by column: for docs/mirror.md, for dbt, and as comments in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from service.kinds import THINGS, Kind
from service.mirror.tables import STATES, metadata


@dataclass(frozen=True, slots=True)
class View:
    """One view: what its rows are, what its columns mean, and which of them name a row."""

    name: str
    comment: str
    columns: dict[str, str]
    key: tuple[str, ...]


_CONTAINER = {"container_kind": "catalog, project or space", "container_id": "The container it lives in"}
_ROW = {
    "changed_at": "The moment of this state on the catalog's clock; null: not known",
    "mirrored_at": "When this row was written, on the store's clock",
    "is_stub": "Something refers to it, nothing more is known",
    "document": "The state as the catalog sent it, secrets blanked, as canonical JSON text",
}
_OF_ASSET = {"asset_name": "Name of the asset", **_CONTAINER}
_FIGURES = {
    "position": "From 1", "inferred_type": "What the values look like, as profiling words it",
    "length": "Of the inferred type", "precision": "Of the inferred type", "scale": "Of the inferred type",
    "row_count": "Rows that were looked at", "distinct_count": "Different values", "null_count": "Rows without a value",
    "empty_count": "Rows with an empty text", "unique_count": "Values that occur once",
    "null_ratio": "Share of rows without a value, 0 to 1", "distinct_ratio": "Different values per row, 0 to 1",
    "min_number": "Smallest number", "max_number": "Largest number", "min_text": "Smallest text; [redacted]: hidden",
    "max_text": "Largest text; [redacted]: hidden", "mean": "Of the numbers", "stddev": "Of the numbers",
    "max_frequency": "Rows with the value that occurs most", "data_class_code": "The data class that was chosen",
    "data_class": "Name of that data class", "confidence": "In that class, as told",
    "quality_score": "As the catalog gives it",
}  # fmt: skip
_UNREAD = {
    "values_hidden": "Values of the table were blanked, as PIPELINE__PROFILE_VALUES says",
    "unread": "What was told but is no such number, joined with commas",
}


def _view_of(kind: Kind) -> View:
    columns = {kind.id_name: "Its id", **{field.name: field.comment for field in kind.fields}, **_CONTAINER, **_ROW}
    kept = {name: meaning for name, meaning in columns.items() if name not in kind.lacks}
    return View(f"v1_{kind.table}", kind.comment, kept, (kind.id_name,))


_HANDWRITTEN = (
    View(
        "v1_containers", "Catalogs, projects and spaces",
        {
            "container_id": "Its id", "kind": "catalog, project or space", "name": "As the catalog shows it",
            "description": "As the catalog shows it",
            "state": "active, or why its content cannot be read now: archived, forbidden",
            "is_governed": "Data protection rules apply in it", "creator_id": "Who made it",
            "created_at": "When it was made", **_ROW,
        },
        ("container_id",),
    ),
    View(
        "v1_assets", "Assets of every type; those that not every member of a container may see are left out",
        {
            "asset_id": "Its id", **_CONTAINER, "name": "As the catalog shows it",
            "asset_type": "data_asset, connection, notebook, …", **_ROW,
            "description": "As the catalog shows it", "tags": "Joined with commas",
            "state": "As the catalog words it: available", "owner_id": "Who owns it",
            "resource_key": "How the data itself is named where it lives",
            "connection_id": "The connection of its first remote attachment",
            "connection_path": "Where the data lies in that connection",
            "copy_action": "clone, publish, promote, …: how it came here",
            "source_asset_id": "The asset it was copied from", "source_container_kind": "Where that one lives",
            "source_container_id": "Where that one lives", "created_at": "When it was created",
            "updated_at": "When it was last changed, as the catalog says",
            "updated_by": "Who changed it last, as the catalog says",
        },
        ("asset_id",),
    ),
    View(
        "v1_asset_columns", "Columns of data assets",
        {
            "asset_id": "The data asset", "name": "Name of the column", "position": "From 1",
            "data_type": "As the catalog words it", "native_type": "As the data source words it",
            "length": "Of the type", "scale": "Of the type", "nullable": "It may hold nothing",
            "description": "As the catalog shows it",
            "tags": "Joined with commas", "data_class_id": "The data class that was chosen",
            "data_class": "Name of that data class", "quality_score": "As the catalog gives it", **_OF_ASSET,
        },
        ("asset_id", "name"),
    ),
    View(
        "v1_asset_terms", "Business terms on assets and their columns",
        {
            "asset_id": "The asset", "column_name": "The column; empty: the asset itself", "term_id": "The term",
            "term": "Its name", "standing": "assigned, suggested or rejected",
            "confidence": "Of a suggestion, 0 to 1", **_OF_ASSET,
        },
        ("asset_id", "column_name", "term_id", "standing"),
    ),
    View(
        "v1_asset_classifications", "Classifications of assets",
        {
            "asset_id": "The asset", "classification_id": "The classification", "classification": "Its name",
            "global_id": "Its id with its repository", "standing": "manual, or profiled where a profile found it",
            **_OF_ASSET,
        },
        ("asset_id", "classification_id", "standing"),
    ),
    View(
        "v1_column_classifications", "Classifications of columns of data assets",
        {
            "asset_id": "The data asset", "column_name": "The column", "classification_id": "The classification",
            "classification": "Its name", "global_id": "Its id with its repository", **_OF_ASSET,
        },
        ("asset_id", "column_name", "classification_id"),
    ),
    View(
        "v1_connections", "Connections: where they lead, never with what secret",
        {
            "asset_id": "The connection", "name": "As the catalog shows it", "datasource_type": "Its kind, as an id",
            "context": "source, target", "host": "Host name", "port": "Port", "database": "Database",
            "bucket": "Bucket of an object store", "flags": "Such as personal_credentials, joined with commas",
            **_CONTAINER,
        },
        ("asset_id",),
    ),
    View(
        "v1_asset_attributes", "Attributes of assets of any type, a row per value; what has a view of its own is there",
        {
            "asset_id": "The asset", "attribute": "As the catalog names it",
            "path": "Names below it, with dots, and places in lists from 0: a.b[2].c; empty: the attribute itself",
            "text_value": "The text, of up to 1,024 bytes; of a number its digits", "number_value": "The number",
            "truth_value": "The truth value", "time_value": "The moment, where the text is a date with a time of day",
            "cut": "text: it goes on in the document; leaves: stands for all further values of the asset",
            **_OF_ASSET,
        },
        ("asset_id", "attribute", "path"),
    ),
    View(
        "v1_asset_attachments", "Attachments of assets: where their data lie, never what lets people in",
        {
            "attachment_id": "Its id", "asset_id": "The asset",
            "asset_type": "The attribute of the asset that it belongs to",
            "name": "As the catalog shows it", "mime": "Its media type", "size": "In bytes, as the catalog says",
            "kind": "remote: behind a connection; referenced: in storage of the container; managed",
            "connection_id": "The connection of a remote one", "connection_path": "Where it lies in that connection",
            "created_at": "When it was created", **_OF_ASSET,
        },
        ("asset_id", "attachment_id"),
    ),
    View(
        "v1_data_profiles", "What profiling found out about data assets",
        {
            "profile_id": "Its id", "asset_id": "The data asset that was profiled", **_CONTAINER,
            "status": "Of the run, as the catalog words it", "column_count": "Columns in the profile itself",
            "created_at": "When it was created", "owner_id": "Who owns it", **_ROW,
        },
        ("profile_id",),
    ),
    View(
        "v1_profile_columns", "What the current profile of each data asset found, column by column",
        {
            "profile_id": "The profile", "asset_id": "The data asset that was profiled",
            "column_name": "Name of the column; of several with one name the later are numbered", **_FIGURES,
            **_UNREAD, **_OF_ASSET,
            "changed_at": _ROW["changed_at"], "mirrored_at": _ROW["mirrored_at"],
        },
        ("profile_id", "column_name"),
    ),
    View(
        "v1_profile_classes", "Data classes that the current profile of each data asset found for its columns",
        {
            "profile_id": "The profile", "asset_id": "The data asset that was profiled",
            "column_name": "Name of the column", "class_code": "The data class", "data_class": "Its name",
            "confidence": "As told", "priority": "As told", "is_chosen": "It is the class that the column has now",
            **_OF_ASSET,
        },
        ("profile_id", "column_name", "class_code"),
    ),
    View(
        "v1_profile_history", "What each finished run of a profile found, kept for RETENTION__PROFILES",
        {
            "profile_id": "The profile", "run_id": "The run", "asset_id": "The data asset that was profiled",
            "finished_at": "When the run was first told to be finished", "column_name": "Name of the column",
            **_FIGURES, **_UNREAD, **_OF_ASSET,
        },
        ("profile_id", "run_id", "column_name"),
    ),
    View(
        "v1_profile_drift", "What changed from the run before to the newest one of each data asset",
        {
            "asset_id": "The data asset", "column_name": "The column; empty: the table as a whole",
            "change": "added, gone, retyped, reclassified, nulls, distinct or rows",
            "before_at": "When the run before was finished", "after_at": "When the newest run was finished",
            "before_text": "Type or class before", "after_text": "Type or class after",
            "before_number": "Ratio (nulls, distinct) or number of rows before",
            "after_number": "The same after", "difference": "After less before",
            "is_crossed": "It is as large as PROFILES__DRIFT_… asks for to be told",
            "profile_id": "The profile of the newest run", "run_id": "The newest run", **_OF_ASSET,
        },
        ("asset_id", "column_name", "change"),
    ),
    View(
        "v1_lineage_events", "What happened, when, and who says so",
        {
            "event_id": "Its id", "event_type": "As the catalog words it", "categories": "Joined with commas",
            "event_time": "When it happened", "source_service": "Who says so", "user_id": "Who did it",
            "is_own": "This mirror made it", "mirrored_at": _ROW["mirrored_at"], "document": _ROW["document"],
        },
        ("event_id",),
    ),
    View(
        "v1_lineage_edges", "One asset that one lineage event used or generated",
        {
            "event_id": "The event", "event_type": "As the catalog words it", "event_time": "When it happened",
            "is_own": "This mirror made it", "role": "uses or generates", "asset_id": "The asset",
            "asset_type": "As lineage words it", "name": "As the event names the asset",
            "relation": "As the catalog words it: Used, Created", **_CONTAINER,
        },
        ("event_id", "asset_id", "role"),
    ),
    View(
        "v1_column_edges", "One column that another one was made of, or that decided about it, run by run",
        {
            "event_id": "The lineage event that tells it", "event_type": "As the catalog words it",
            "occurred_at": "When it happened", "job": "Namespace and name of the job; else who says so",
            "from_asset_id": "The asset that the value came from", "from_asset_name": "Its name, if it is mirrored",
            "from_column": "The column, by the catalog's name where it has one",
            "to_asset_id": "The asset that was made of it", "to_asset_name": "Its name, if it is mirrored",
            "to_column": "The column, by the catalog's name where it has one; null: the data set as a whole",
            "kind": "direct: its value went into the other; indirect: it decided about it",
            "transformation": "As it was told: IDENTITY, AGGREGATION, FILTER, …", "description": "As it was told",
            "masking": "Whether the value was made unreadable", "mirrored_at": _ROW["mirrored_at"],
        },
        ("event_id", "from_asset_id", "from_column", "to_asset_id", "to_column", "kind", "transformation"),
    ),
    View(
        "v1_runs", "Runs of jobs, as OpenLineage producers tell them",
        {
            "run_id": "Its id, and that of its lineage event", "job_namespace": "Of the job", "job_name": "The job",
            "state": "RUNNING, COMPLETED, FAILED, ABORTED, OTHER; LOST: it began, never ended, and is silent for long",
            "started_at": "When it began; null: nobody said so", "ended_at": "When it ended",
            "duration_s": "Seconds from the one to the other", "last_event_at": "Of the event that tells its state",
            "nominal_start": "The time that it is for, by its schedule", "nominal_end": "The end of that time",
            "parent_run_id": "The run that started it", "parent_job_namespace": "Of the job of that run",
            "parent_job_name": "The job of that run", "root_run_id": "The first run of the line",
            "root_job_namespace": "Of the job of that run", "root_job_name": "The job of that run",
            "error": "Why it failed, as it was told", "came_from": "Who told it", "mirrored_at": _ROW["mirrored_at"],
        },
        ("run_id",),
    ),
    View(
        "v1_run_jobs", "Jobs that ran, with their runs counted and the last one told",
        {
            "job_namespace": "Of the job", "job_name": "The job", "runs": "How many are known",
            "completed": "Runs that succeeded", "failed": "Runs that failed", "aborted": "Runs that were ended",
            "running": "Runs under way", "lost": "Runs that never ended", "last_run_id": "The newest run",
            "last_state": "Its state", "last_started_at": "When it began", "last_ended_at": "When it ended",
            "last_duration_s": "Seconds from the one to the other", "last_completed_at": "When a run last succeeded",
            "last_failed_at": "When a run last failed, or was ended",
            "parent_job_namespace": "Of the job that started the newest run",
            "parent_job_name": "The job that started the newest run",
        },
        ("job_namespace", "job_name"),
    ),
    View(
        "v1_dataset_names", "Names of data sets that have several, each with the one that stands for all",
        {
            "asset_id": "A name, as lineage has it", "identity_id": "What stands for it and for the others",
            "identity_name": "Name of that asset, if it is mirrored", **_CONTAINER,
        },
        ("asset_id",),
    ),
    View(
        "v1_dataset_links", "Which event says that two names are one data set",
        {
            "event_id": "The lineage event", "asset_id": "The data set, as the event's edges have it",
            "other_id": "What else it is called",
        },
        ("event_id", "asset_id", "other_id"),
    ),
    View(
        "v1_quality_assertions", "What tests of OpenLineage producers (dbt, and others) found, run by run",
        {
            "assertion_id": "Its id: made of run, data set, column and assertion",
            "namespace": "Of the data set, as it was told", "name": "Of the data set, as it was told",
            "asset_id": "The data set, as lineage knows it", "asset_name": "Name of the asset, if it is mirrored",
            **_CONTAINER, "column_name": "The column; null: the data set as a whole",
            "assertion": "What was tested, as it was told: not_null, unique, …",
            "test_name": "Name of the test, where it has one", "success": "Whether nothing was found",
            "severity": "As it was told: error, warn", "expected": "As it was told", "actual": "As it was told",
            "occurred_at": "The moment of the event that tells it", "event_id": "The lineage event that tells it",
            "run_id": "The run; null: it is told of no run",
            "job": "Namespace and name of the job; of a data set alone, who tells of it",
            "mirrored_at": _ROW["mirrored_at"],
        },
        ("assertion_id",),
    ),
    View(
        "v1_category_paths", "Where each category stands in the tree of its glossary",
        {
            "category_id": "The category", "name": "As the catalog shows it",
            "parent_category_id": "The category above it", "path": "Names from the top, with ` >> ` between them",
            "depth": "1 at the top",
        },
        ("category_id",),
    ),
    View(
        "v1_category_ancestors", "Each category with itself and every one above it: what it holds, with all below",
        {"category_id": "The category", "ancestor_id": "Itself, or one above it, mirrored or not"},
        ("category_id", "ancestor_id"),
    ),
    View(
        "v1_category_artifacts", "What each category holds, with all below it: ask by ancestor_id",
        {
            "ancestor_id": "The category", "category_id": "Itself or the one below it in which the artifact is",
            "artifact_id": "As in v1_artifacts", "artifact_type": "As in v1_artifacts",
            "name": "As the catalog shows it",
        },
        ("ancestor_id", "artifact_id"),
    ),
    View(
        "v1_usage", "Uses of assets that settings count as such; of a statistic, by how much it grew",
        {
            "fact_id": "Its id", "asset_id": "What was used", "asset_name": "Name of the asset", **_CONTAINER,
            "user_hash": "Who used it, hashed; the same for the same user. Null: nobody says who",
            "occurred_at": "When; of a statistic, when it was read", "uses": "How often, mostly once",
            "source": "lineage, statistic or import", "event_id": "The lineage event that tells it",
            "mirrored_at": _ROW["mirrored_at"],
        },
        ("fact_id",),
    ),
    View(
        "v1_freshness", "How far the mirror can be trusted, per container and kind",
        {
            "container_id": "The container; empty for what lives in none",
            "container_kind": "catalog, project or space",
            "kind": "What was read: asset, data_profile, member, …",
            "complete_as_of": "Everything that was there then is in the mirror",
            "reconciled_at": "When catalog and mirror were last compared",
            "polled_at": "When changes were last looked for",
            "things": "How many the catalog has", "missing": "In the catalog, not in the mirror, when last compared",
            "stale": "In both, but different", "orphaned": "In the mirror, not in the catalog",
            "unreadable": "Listed, but could not be read", "problem": "Why it could not be read",
            "open_gaps": "Times in which events may have been lost and that nobody has closed",
        },
        ("container_id", "kind"),
    ),
)  # fmt: skip

_VALID = {
    "valid_from": "From this moment on the catalog's clock",
    "valid_to": "Until then, when the next state or a deletion came; null: until now",
    "is_exact": "An event tells the moment; false: it was read so then, and came to be at some time before",
}
_NOW = frozenset({"changed_at", "is_stub"})


def _history_of(view: View) -> View:
    told = {name: meaning for name, meaning in view.columns.items() if name not in _NOW}
    document = {name: told.pop(name) for name in ("mirrored_at", "document") if name in told}
    comment = f"{view.comment}: every state since RETENTION__HISTORY is set"
    return View(f"{view.name}_history", comment, told | _VALID | document, (*view.key, "valid_from"))


_NOW_KNOWN = {view.name: view for view in (*_HANDWRITTEN, *map(_view_of, THINGS.values()))}
#: The view of each history by kind.
HISTORY_VIEWS: dict[str, View] = {kind: _history_of(_NOW_KNOWN[f"v1_{table.name}"]) for kind, table in STATES.items()}

#: Every view by its name.
VIEWS: dict[str, View] = {
    view.name: view for view in sorted((*_NOW_KNOWN.values(), *HISTORY_VIEWS.values()), key=lambda view: view.name)
}

#: View → the kind that has to be read for it (`v1_freshness.kind`). What events alone tell has none.
READ_AS: dict[str, str] = {
    **{f"v1_{kind.table}": name for name, kind in THINGS.items()},
    **dict.fromkeys(
        (
            "v1_assets", "v1_asset_columns", "v1_asset_terms", "v1_asset_classifications", "v1_column_classifications",
            "v1_connections", "v1_asset_attributes", "v1_asset_attachments",
        ),
        "asset",
    ),
    **dict.fromkeys(("v1_data_profiles", "v1_profile_columns", "v1_profile_classes"), "data_profile"),
    **dict.fromkeys(("v1_category_paths", "v1_category_ancestors", "v1_category_artifacts"), "category"),
}  # fmt: skip


def describe(connection: sa.Connection) -> None:
    """Write the descriptions into PostgreSQL, where clients show them; they follow the code, not the migrations.

    They are hundreds, and travel as one block: each alone would wait for its answer.
    """
    comments = "".join(f"COMMENT ON {what} {name} IS {_quoted(text)};\n" for what, name, text in _comments() if text)
    connection.exec_driver_sql(f"DO {_quoted(f'BEGIN {comments} END')}")


def _comments() -> Iterator[tuple[str, str, str | None]]:
    for table in metadata.tables.values():
        for column in table.c:
            yield "COLUMN", f"{table.name}.{column.name}", column.comment
    for view in VIEWS.values():
        yield "VIEW", view.name, view.comment
        for name, meaning in view.columns.items():
            yield "COLUMN", f"{view.name}.{name}", meaning


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
