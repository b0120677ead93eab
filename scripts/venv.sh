#!/bin/sh
# Makes a Python environment with exactly the packages of a requirements file: venv.sh FOLDER REQUIREMENTS
# Envoy's binary and Envoy's protos come in packages that both own a Python module `envoy`, hence one folder each.
set -eu
folder=$1
requirements=$2
rm -rf "$folder"
if ! python3 -m venv "$folder" >"${folder}.log" 2>&1; then
  cat "${folder}.log" >&2
  rm -rf "$folder" "${folder}.log"
  echo "error: 'python3 -m venv' does not work here. Python 3.10 or later with venv is needed to build" >&2
  echo "       (Debian and Ubuntu: apt-get install python3-venv)." >&2
  exit 1
fi
rm -f "${folder}.log"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$requirements"
