#!/usr/bin/env bash
# Train on this machine until the run is complete, export it, and use it.
#
#   launch/local.sh pixelcgan                      # train, export the generator
#   launch/local.sh gan:narrow photos              # ... and complete images of a folder
#   launch/local.sh detect photos                  # ... or score them
#   launch/local.sh colorize photos --config.steps=3000
#
# First a config of configs/, with its variants after a colon; then, if it does not begin
# with --, a folder of images; the rest are flags of the training run. The run lies
# in $RUNS (runs) under the config's name and its variants, as runs/gan-narrow, the
# artefact in $EXPORTED (exported) under the same name; $PYTHON is the interpreter
# (python).
#
# Training that SIGTERM has ended (exit code 143, as where a machine is taken away for a
# while) goes on after $PAUSE seconds (10), up to $ATTEMPTS times in all (100). Whatever
# else ends it ends this script with the same exit code; the same line, given again, goes
# on where it was, after a power failure too.
set -euo pipefail

if [[ $# -eq 0 || $1 == --help ]]; then
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
  exit $(($# == 0 ? 2 : 0))
fi

name=${1%%:*}
variants=${1#"$name"}
shift
images=
if [[ $# -gt 0 && $1 != --* ]]; then
  images=$(realpath -- "$1")
  shift
fi
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
own=$name${variants//[:,]/-}
workdir=${RUNS:-runs}/$own
pause=${PAUSE:-10}

code=143
for ((attempt = 1; attempt <= ${ATTEMPTS:-100} && code == 143; attempt++)); do
  if ((attempt > 1)); then
    echo "local.sh: stopped by SIGTERM, goes on in $pause s" >&2
    sleep "$pause"
  fi
  code=0
  "$python" -m gan_jax.main --config="configs/$name.py$variants" \
    --workdir="$workdir" "$@" || code=$?
done
((code == 0)) || exit "$code"

"$python" -m gan_jax.export --prior="$workdir" --out="${EXPORTED:-exported}/$own"
if [[ -n $images ]]; then
  case $name in
    detect | colorize) use=(--config="configs/$name.py") ;;
    *) use=(--config=configs/inpaint.py:yeh --config.masks=center) ;;
  esac
  "$python" -m gan_jax.main "${use[@]}" --config.prior="$workdir" \
    --config.images="$images" --workdir="$workdir-used"
fi
