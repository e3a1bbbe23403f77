"""Every guard is taken out once, in a copy of the code, and a named test has to fail for it."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("service", "handlers", "sandbox", "tests", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard: the lines that make it, what is there without it, and the test that sees that."""

    name: str
    file: str
    cuts: tuple[tuple[str, str], ...]
    test: str


COMMIT = "outcome = await self._pipeline.commit(reads, Origin.LIVE, braked=True, alone=batch.alone)"
WORDS, FORMS = "settings.pipeline.secret_words", "settings.pipeline.secret_forms"
ACK = "await channel.basic_ack(batch.last_tag, multiple=True)"

GUARDS = (
    Guard(
        "ack after commit",
        "service/amqp/consumer.py",
        ((f"{COMMIT}\n            {ACK}", f"{ACK}\n            {COMMIT}"),),
        "test_postgres.py::test_a_lock_that_somebody_holds_for_longer_than_we_wait",
    ),
    Guard(
        "rehearsal",
        "service/amqp/consumer.py",
        (("rehearse(self._not_taken)", "rehearse([])"),),
        "test_deliveries.py::test_a_table_lock_that_outlasts_many_timeouts_costs_no_event",
    ),
    Guard(
        "version guard",
        "service/mirror/bulk.py",
        (
            ("condition = insert.excluded.version > self.table.c.version", "condition = sa.true()"),
            ("version >= incoming.c.version", "version == incoming.c.version"),
        ),
        "test_replicas.py::test_replicas_that_race_on_the_same_things_end_in_the_newest_state_of_each",
    ),
    Guard(
        "bisect",
        "service/pipeline/committing.py",
        (("suspects=suspects, split=True)", "suspects=suspects, split=False)"),),
        "test_store.py::test_a_row_that_the_store_refuses_hurts_only_itself",
    ),
    Guard(
        "watchdog",
        "service/amqp/watchdog.py",
        (("self._consumer.restart(what)", "pass"),),
        "test_link.py::test_a_consumer_that_gets_nothing_while_messages_lie_ready_is_noticed_and_made_anew",
    ),
    Guard(
        "outbox",
        "service/pipeline/committing.py",
        (
            (
                "await deliveries.create(connection, free, lease)",
                "{delivery.delivery_id for delivery in free}",
            ),
        ),
        "test_lineage_back.py::test_unroutable_lineage_waits_and_goes_out_once_somebody_binds",
    ),
    Guard(
        "lease",
        "service/mirror/deliveries.py",
        (("free = sa.or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until < now)", "free = sa.true()"),),
        "test_replicas.py::test_what_a_crashed_replica_had_leased_is_delivered_by_another",
    ),
    Guard(
        "suspect",
        "service/pipeline/pipeline.py",
        (("SUSPECT_LIMIT = 3", "SUSPECT_LIMIT = 1000"), ("HOPELESS_LIMIT = 6", "HOPELESS_LIMIT = 1000")),
        "test_poison.py::test_an_event_that_kills_the_process_becomes_a_dead_letter_and_no_innocent_does",
    ),
    Guard(
        "brake",
        "service/pipeline/brake.py",
        (("if failure and sum(window) > self._failures:", "if False:"),),
        "test_poison.py::test_a_flood_of_unreadable_events_pulls_the_brake_and_a_person_lifts_it",
    ),
    Guard(
        "two witnesses",
        "service/sync/deleting.py",
        (("if kind.has_second_witness and may:", "if False:"),),
        "test_deletions.py::test_an_artifact_is_gone_only_where_a_list_and_a_reading_by_its_type_say_so",
    ),
    Guard(
        "ledger of jobs",
        "service/targets/pentaho/ledger.py",
        (
            (
                "_jobs.created_at >= deliveries.c.created_at,",
                "_jobs.created_at >= deliveries.c.created_at, _jobs.pentaho_job_id.is_(None),",
            ),
        ),
        "test_pentaho.py::test_a_killed_service_loses_no_job_and_doubles_none_whose_answer_arrived",
    ),
    Guard(
        "told without a gap",
        "service/mirror/effects.py",
        (("if replaced != (there.version if there is not None else None):", "if False:"),),
        "test_webhook.py::test_two_replicas_at_one_thing_tell_an_unbroken_chain",
    ),
)

#: Those against people who want harm; docs/security.md tells of each.
SECURITY_GUARDS = (
    Guard(
        "scope",
        "service/http/access.py",
        (("            if scope not in caller.scopes:", "            if False:"),),
        "test_door.py::test_no_call_works_without_a_token_or_with_one_of_another_scope",
    ),
    Guard(
        "origin of a call",
        "service/http/admin/door.py",
        (("    if is_foreign(request):", "    if False:"),),
        "test_door.py::test_no_call_works_from_a_page_of_another_origin_also_with_a_good_token",
    ),
    Guard(
        "name of this machine",
        "service/http/access.py",
        (("            if not is_local(request.host):", "            if False:"),),
        "test_api.py::test_without_tokens_this_machine_reads_and_nobody_writes",
    ),
    Guard(
        "token of a form",
        "service/http/console/door.py",
        (("if not isinstance(brought, str) or not hmac.compare_digest(", "if False and not hmac.compare_digest("),),
        "test_console.py::test_a_form_of_somebody_elses_page_is_refused",
    ),
    Guard(
        "guesses",
        "service/http/guesses.py",
        (("        if not is_free:", "        if False:"),),
        "test_guesses.py::test_some_are_free_and_more_come_with_time",
    ),
    Guard(
        "audience",
        "service/http/oidc.py",
        (('"require": ["exp", "iss", "aud"]', '"require": ["exp", "iss", "aud"], "verify_aud": False'),),
        "test_api.py::test_tokens_of_the_issuer_open_what_their_scopes_say",
    ),
    Guard(
        "state of a sign-in",
        "service/http/signin.py",
        (('if not _same(query.get("state", ""), pending.state):', "if False:"),),
        "test_signin.py::test_an_answer_to_what_another_browser_asked_is_not_believed",
    ),
    Guard(
        "size of a body",
        "service/http/admin/api.py",
        (("client_max_size=self._http.max_body_bytes", "client_max_size=2**40"),),
        "test_door.py::test_a_body_over_its_bound_is_refused",
    ),
    Guard(
        "size of an answer",
        "service/catalog/transport.py",
        (("        if size > limit:", "        if False:"),),
        "test_client.py::test_what_is_packed_counts_unpacked",
    ),
    Guard(
        "redirects",
        "service/catalog/transport.py",
        (("    if not same:", "    if False:"),),
        "test_client.py::test_another_host_is_never_followed_to",
    ),
    Guard(
        "private addresses",
        "service/catalog/attachments.py",
        (("        if not found.is_global and not any(", "        if False and not any("),),
        "test_profile_documents.py::test_a_name_that_leads_to_a_private_address_is_refused",
    ),
    Guard(
        "secrets",
        "service/pipeline/decoding.py",
        (("            body, blanked = redact(body)\n", "            blanked = False\n"),),
        "test_states.py::test_no_secret_reaches_the_store",
    ),
    Guard(
        "words that are set",
        "service/settings/model.py",
        ((f"redaction.know({WORDS}, {FORMS})", f"redaction.know((), {FORMS})"),),
        "test_secret_forms.py::test_words_that_are_set_count_wherever_ours_do",
    ),
    Guard(
        "forms that are set",
        "service/settings/model.py",
        ((f"redaction.know({WORDS}, {FORMS})", f"redaction.know({WORDS})"),),
        "test_secret_forms.py::test_forms_that_are_set_count_wherever_ours_do",
    ),
    Guard(
        "control characters",
        "service/text/visible.py",
        (("return _HIDDEN.sub(_shown, text)", "return text"),),
        "test_hostile_names.py::test_log_lines_show_what_they_are_told",
    ),
    Guard(
        "formulas",
        "service/http/answers.py",
        (("if value.startswith(_FORMULA) else", "if False else"),),
        "test_read_api.py::test_csv_is_safe_to_open_in_a_spreadsheet",
    ),
    Guard(
        "marks",
        "service/mcp/server.py",
        ((r'.replace("<", "\\u003c")', ""),),
        "test_mcp.py::test_texts_of_the_catalog_cannot_leave_their_marks",
    ),
    Guard(
        "barrier",
        "service/mirror/readers.py",
        ((" WITH (security_barrier = true)", ""),),
        "test_readers.py::test_a_reader_cannot_lift_it",
    ),
    Guard(
        "words of others",
        "service/text/quoting.py",
        (("        text = text.replace(form, BLANK)", "        pass"),),
        "test_own_secrets.py::test_nothing_that_is_shown_while_everything_fails_has_one",
    ),
    Guard(
        "secrets among options",
        "service/settings/sections.py",
        (("AfterValidator(_Options), ", ""),),
        "test_own_secrets.py::test_settings_are_written_out_without_them",
    ),
    Guard(
        "rotation",
        "service/settings/files.py",
        (("            if stamp != self._seen:", "            if False:"),),
        "test_secret_files.py::test_every_secret_is_read_again_from_a_mounted_volume_whatever_names_it",
    ),
    Guard(
        "rotation of a CA",
        "service/settings/trust.py",
        (("self._of_file.value if", "self._of_file._value if"),),
        "test_own_ca.py::test_one_that_is_exchanged_counts_for_whoever_runs_on",
    ),
    Guard(
        "audit log",
        "service/mirror/migrations/versions/0103_audit.py",
        (
            ("BEFORE UPDATE OR DELETE ON", "BEFORE DELETE ON"),
            ('for event in ("UPDATE", "DELETE")', 'for event in ("DELETE",)'),
        ),
        "test_retention.py::test_the_audit_log_is_only_added_to",
    ),
)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("guard", [*GUARDS, *SECURITY_GUARDS], ids=lambda guard: guard.name)
def test_without_this_guard_its_test_fails(guard: Guard, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, _made(copy) / name)
    code, counted = _outcome(copy, guard.test)
    assert (code, counted.split()[1:2]) == (0, ["passed"]), "in the copy it passes"
    mutated = copy / guard.file
    text = mutated.read_text(encoding="utf-8")
    for there, instead in guard.cuts:
        assert text.count(there) == 1, f"{there!r} is not in {guard.file} once: name the guard's lines anew"
        text = text.replace(there, instead)
    mutated.write_text(text, encoding="utf-8")
    code, counted = _outcome(copy, guard.test)
    assert code == 1
    assert re.match(r"\d+ failed", counted), "it fails, for another reason than one that stops it from running"


def _made(directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    return directory


def _outcome(copy: Path, test: str) -> tuple[int, str]:
    """With which code the test ended in the copy, and how pytest counted it: once for each of its parameters."""
    file, _, name = test.partition("::")
    (path,) = (found for found in (copy / "tests").rglob(file) if f"def {name}(" in found.read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{path}::{name}", "--timeout=150"]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    counted = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr
    print(done.stdout[-3000:])
    return done.returncode, counted
