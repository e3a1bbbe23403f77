"""Of the secrets that gitleaks knows most are found; of what a catalog says every day hardly any is taken for one."""

from benchmarks import secrets


def test_most_secrets_that_gitleaks_knows_by_their_form_are_found() -> None:
    assert secrets.share_of(secrets.recall(secrets.groups()["by their form"], samples=3)) > 0.85


def test_what_is_assigned_to_a_word_for_a_secret_is_found_whoever_the_vendor_is() -> None:
    told = secrets.groups()["by a vendor's name, with a word for a secret"]

    assert secrets.share_of(secrets.recall(told, samples=3)) > 0.9


def test_fewer_than_one_in_10_000_everyday_values_is_taken_for_a_secret() -> None:
    values = 20_000

    assert len(secrets.false_alarms(values)) * 10_000 < values
