#!/bin/sh
# Makes the virtual environment FOLDER with Freehold and one dependency group: tools/setup.sh FOLDER GROUP
set -eu
folder=$1 group=$2
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Freehold needs Python 3.11 or newer; $python is $("$python" -V 2>&1). Set PYTHON=/path/to/python3.11" >&2
    exit 1
}
if command -v uv >/dev/null 2>&1; then
    [ -x "$folder/bin/python" ] || uv venv --quiet --seed --python "$python" "$folder"
    uv pip install --quiet --python "$folder/bin/python" --constraint constraints.txt --editable . --group "$group"
else
    [ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable . --group "$group"
fi
touch "$folder/.$group"
