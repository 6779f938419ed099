#!/usr/bin/env bash
# setup.sh VENV: makes the project's own virtual environment with everything
# that building, testing and measuring need. Says what is missing otherwise.
set -euo pipefail
venv=$1

need() {
    command -v "$1" > /dev/null || { echo "oxidask needs $2" >&2; exit 1; }
}
need cargo "a Rust toolchain (cargo 1.95 or newer)"
need cc "a C compiler (Debian: apt-get install build-essential)"
need python3 "Python 3.11 or newer"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "oxidask needs Python 3.11 or newer; python3 is $(python3 --version)" >&2
    exit 1
}

# Debian keeps ensurepip, which venv needs, in a package of its own.
if ! python3 -c 'import ensurepip' 2> /dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
        apt-get update -qq && apt-get install -y -qq python3-venv python3-dev
    else
        echo "python3 has no ensurepip (Debian: apt-get install python3-venv python3-dev)" >&2
        exit 1
    fi
fi

[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt

# Tests of databases start a PostgreSQL server of their own; without its programs they are skipped.
if ! compgen -G '/usr/lib/postgresql/*/bin/initdb' > /dev/null && ! command -v initdb > /dev/null \
    && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    apt-get install -y -qq postgresql > /dev/null || echo "PostgreSQL cannot be installed: its tests are skipped" >&2
fi
