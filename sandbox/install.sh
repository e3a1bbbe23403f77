#!/bin/sh
# Sees to what the demo, the tests and the checks need beside Python packages: Python itself, a broker, a database, a
# pooler, the AMQP command line tools, promtool, Valgrind, Node.js and a browser. Run by `make install`; quick and silent when everything is there.
#
#   sh sandbox/install.sh                 install what is missing, or say what to install
#   sh sandbox/install.sh --print-python  print the Python to build with, install nothing
#
# Exits non-zero only when there is no Python to go on with: without servers the demo replays from a file, and the
# tests that need them skip (and fail where CI is set).
set -eu

LC_ALL=C
export LC_ALL
POLICY=/usr/sbin/policy-rc.d
POLICY_IS_OURS=no

say() { printf '%s\n' "$*" >&2; }

have() { command -v "$1" >/dev/null 2>&1; }

# Servers lie outside of the PATH of an ordinary user.
have_server() { have "$1" || [ -x "/usr/sbin/$1" ] || [ -x "/usr/local/sbin/$1" ] || [ -x "/opt/homebrew/sbin/$1" ]; }

have_postgres() {
    have initdb && return 0
    for initdb in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb; do
        [ -x "$initdb" ] && return 0
    done
    return 1
}

docker_works() { have docker && docker info >/dev/null 2>&1; }

# Prints the first Python that is new enough and can build environments; ensurepip is what Debian splits off.
find_python() {
    for python in python3.13 python3.12 python3.11 python3; do
        if have "$python" && "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
            >/dev/null 2>&1; then
            printf '%s\n' "$python"
            return 0
        fi
    done
    return 1
}

may_apt() { have apt-get && [ "$(id -u)" -eq 0 ]; }

# Debian starts a service as it is installed; we start our own private ones, so for this once it is told not to.
forbid_service_starts() {
    [ -e "$POLICY" ] && return 0
    trap allow_service_starts EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    POLICY_IS_OURS=yes
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
}

allow_service_starts() {
    [ "$POLICY_IS_OURS" = no ] || rm -f "$POLICY"
    POLICY_IS_OURS=no
}

# $1: why; the rest: packages.
apt_install() {
    say "Installing $1: apt-get install --no-install-recommends $2"
    say "(no system service is started; the demo and the tests run private ones of their own)"
    forbid_service_starts
    # Word splitting is meant: one package a word.
    # shellcheck disable=SC2086
    if apt_get install -y --no-install-recommends $2 || { apt_get update && apt_get install -y --no-install-recommends $2; }; then
        allow_service_starts
        return 0
    fi
    allow_service_starts
    say "apt-get could not install them."
    return 1
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -q -o Dpkg::Use-Pty=0 "$@" </dev/null >&2
}

need_python() {
    PYTHON=$(find_python) && return 0
    if [ "${1:-}" != look ] && may_apt && apt_install "Python with venv" "python3 python3-venv"; then
        PYTHON=$(find_python) && return 0
    fi
    say "Catalog Mirror needs Python 3.11 or newer with venv and pip, and none was found."
    say "  Debian, Ubuntu:  sudo apt-get install python3 python3-venv"
    say "  Fedora, RHEL 9:  sudo dnf install python3.12"
    return 1
}

# Fills APT, DNF and WHAT with what is missing; the two client-side tools are wanted beside Docker too.
look_for_parts() {
    APT='' DNF='' WHAT=''
    if ! docker_works; then
        have_server rabbitmq-server || [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] ||
            missing "the broker" rabbitmq-server rabbitmq-server
        have_postgres || missing "the database" postgresql postgresql-server
    fi
    have_server pgbouncer || missing "the pooler" pgbouncer pgbouncer
    have amqp-publish || missing "the AMQP command line tools" amqp-tools librabbitmq-tools
    have faketime || missing "the clock that steps" faketime libfaketime
    have promtool || missing "the judge of alerts" prometheus golang-github-prometheus
    have valgrind || missing "the counter of instructions" valgrind valgrind
    { have node && have npm; } || missing "what gets the console's browser parts" "nodejs npm" nodejs
    have chromium || have chromium-browser || have google-chrome || missing "the browser" chromium chromium
}

missing() {
    WHAT="${WHAT:+$WHAT, }$1"
    APT="${APT:+$APT }$2"
    DNF="${DNF:+$DNF }$3"
}

tell_what_to_install() {
    say "Not installed: $WHAT. The demo and the tests that need them do without:"
    say "the demo replays from a file where there is no broker, tests skip (and fail where CI is set). To have them:"
    say "  Debian, Ubuntu:  sudo apt-get install --no-install-recommends $APT"
    say "  Fedora, RHEL:    sudo dnf install $DNF"
    say "  with Docker:     start it, and give this user the right to use it (docker info must succeed)"
}

case "${1:-}" in
    --print-python)
        need_python look
        printf '%s\n' "$PYTHON"
        exit 0
        ;;
    '') ;;
    *)
        say "usage: sh sandbox/install.sh [--print-python]"
        exit 2
        ;;
esac

need_python
look_for_parts
if [ -n "$WHAT" ] && may_apt; then
    apt_install "$WHAT" "$APT" || true
    look_for_parts
fi
[ -z "$WHAT" ] || tell_what_to_install
