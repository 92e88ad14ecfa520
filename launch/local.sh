#!/usr/bin/env bash
# Train on this machine until the run is complete, export it, and apply it to images.
#
#   launch/local.sh pixelcgan                      # train, export the generator
#   launch/local.sh gan:narrow photos              # then complete the images of a folder
#   launch/local.sh detect photos                  # or score them
#   launch/local.sh colorize photos --config.steps=3000
#
# The first argument is a config of configs/, with its variants after a colon. The second,
# if it does not begin with --, is a folder of images. The others are flags of the
# training run. The run lies in $RUNS (default: runs) under the name of the config and its
# variants, for example runs/gan-narrow. The exported program lies in $EXPORTED (default:
# exported) under the same name. $PYTHON is the interpreter (default: python).
#
# If SIGTERM ends the training (exit code 143), it continues after $PAUSE seconds (default:
# 10), up to $ATTEMPTS times in all (default: 100). If anything else ends it, the script
# ends with the same exit code. The same command continues it, after a power failure too.
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
    echo "local.sh: stopped by SIGTERM, continues in $pause s" >&2
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
