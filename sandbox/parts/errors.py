"""What can go wrong with a part, and what a person does about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Packages:
    """What a part is called in the two families of distributions."""

    name: str
    apt: str
    dnf: str
    has_image: bool = True


BROKER = Packages("RabbitMQ", "rabbitmq-server", "rabbitmq-server")
POSTGRES = Packages("PostgreSQL", "postgresql", "postgresql-server")
PGBOUNCER = Packages("PgBouncer", "pgbouncer", "pgbouncer", has_image=False)
AMQP_TOOLS = Packages("amqp-publish and amqp-consume", "amqp-tools", "librabbitmq-tools", has_image=False)
FAKETIME = Packages("libfaketime", "faketime", "libfaketime", has_image=False)

BROWSER = Packages("Chromium", "chromium", "chromium", has_image=False)


class PartMissing(Exception):
    """A part is neither given, nor in reach through Docker, nor installed; the text says what to do."""

    def __init__(self, packages: Packages, variable: str | None = None) -> None:
        ways = [
            f"sudo apt-get install --no-install-recommends {packages.apt}",
            f"sudo dnf install {packages.dnf}",
        ]
        if packages.has_image:
            ways.append("start Docker")
        if variable:
            ways.append(f"set {variable}")
        super().__init__(f"{packages.name} is missing. One of these helps: " + "; or ".join(ways) + ".")


class PartFailed(Exception):
    """A part is there and does not do what it should; the text carries the end of its log."""


class RootUnusable(PartFailed):
    """The root of another system that was named cannot be used; the text says what to do."""
