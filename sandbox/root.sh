#!/bin/sh
# Makes a folder that holds another Debian, whose broker, database and pooler the tests then use:
#
#   sh sandbox/root.sh SUITE FOLDER
#   CATALOG_MIRROR_TEST_ROOT=FOLDER make faults
#
# `trixie` carries RabbitMQ 4.0 and PostgreSQL 17, `sid` the newest of each. Needs root, some 900 MB and a few minutes;
# a folder that is complete is left as it is.
set -eu

[ $# -eq 2 ] || { printf 'usage: sh sandbox/root.sh SUITE FOLDER\n' >&2; exit 2; }
suite=$1 folder=$2

[ "$(id -u)" -eq 0 ] || {
    printf 'Only root can make and use the root of another system. Run it as root, or use Docker: the images of the\n' >&2
    printf 'tests are named by CATALOG_MIRROR_TEST_BROKER_IMAGE and CATALOG_MIRROR_TEST_POSTGRES_IMAGE.\n' >&2
    exit 1
}
command -v debootstrap >/dev/null 2>&1 || apt-get install -y --no-install-recommends debootstrap
if [ ! -e "$folder/.complete" ]; then
    debootstrap --variant=minbase --include=rabbitmq-server,postgresql,pgbouncer "$suite" "$folder"
    cp /etc/hosts "$folder/etc/hosts"
    # PostgreSQL runs as this machine's user of that name, who owns its files, and asks who that is.
    if user=$(id -u postgres 2>/dev/null); then
        sed -i "s/^postgres:x:[0-9]*:/postgres:x:$user:/" "$folder/etc/passwd"
    fi
    touch "$folder/.complete"
fi
chroot "$folder" dpkg-query --show rabbitmq-server postgresql pgbouncer
