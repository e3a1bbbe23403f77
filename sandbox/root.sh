#!/bin/sh
# Makes a folder that holds another Debian, whose broker and database the tests then use:
#
#   sh sandbox/root.sh SUITE FOLDER
#   CATALOG_MIRROR_TEST_ROOT=FOLDER make faults
#
# `trixie` carries RabbitMQ 4.0 and PostgreSQL 17, `sid` the newest of both. Needs root, some 900 MB and a few minutes;
# a folder that is complete is left as it is.
set -eu

[ $# -eq 2 ] || { printf 'usage: sh sandbox/root.sh SUITE FOLDER\n' >&2; exit 2; }
suite=$1 folder=$2

command -v debootstrap >/dev/null 2>&1 || apt-get install -y --no-install-recommends debootstrap
if [ ! -e "$folder/.complete" ]; then
    debootstrap --variant=minbase --include=rabbitmq-server,postgresql "$suite" "$folder"
    cp /etc/hosts "$folder/etc/hosts"
    # PostgreSQL runs as this machine's user of that name, who owns its files, and asks who that is.
    if user=$(id -u postgres 2>/dev/null); then
        sed -i "s/^postgres:x:[0-9]*:/postgres:x:$user:/" "$folder/etc/passwd"
    fi
    touch "$folder/.complete"
fi
chroot "$folder" dpkg-query --show rabbitmq-server postgresql
