#!/bin/sh
# Installs what the tests with other languages' clients need: the npm packages under js/, and
# python-socketio in a virtual environment. Does nothing where that is done already.
set -eu
cd "$(dirname "$0")"

stamp=js/node_modules/.installed
if ! cmp -s js/package-lock.json "$stamp"; then
    (cd js && npm ci --no-audit --no-fund --loglevel=error)
    cp js/package-lock.json "$stamp"
fi

stamp=venv/.installed
if ! cmp -s requirements.txt "$stamp"; then
    rm -rf venv
    python3 -m venv venv
    venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
    cp requirements.txt "$stamp"
fi
