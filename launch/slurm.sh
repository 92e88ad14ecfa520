#!/usr/bin/env bash
# Train on many GPUs under SLURM, with one process per GPU, on any number of nodes.
#
#   sbatch --nodes=2 --gpus-per-node=4 --ntasks-per-node=4 launch/slurm.sh \
#     --config=configs/pixelcgan.py:fashion_mnist --workdir=runs/fashion
#
# The arguments of the script are flags of gan_jax.main. Submit it in the repository, on a
# file system that all nodes share. $PYTHON is the interpreter (.venv/bin/python). JAX
# finds the other processes by SLURM's environment variables. Each process must see all
# GPUs of its node and takes one of them. batch_size is the batch of all processes
# together.
#
# Two minutes before the time limit, and when the job is preempted, all processes receive
# SIGTERM, finish the step, save, and exit with 143. The job is then queued again and
# continues. After a node failure SLURM queues it again.
#
# A job array searches many images, with one folder of images per job:
#   sbatch --array=0-9 --wrap='.venv/bin/python -m launch.batch --engine=local
#     --config=configs/inpaint.py:yeh --images=photos/$SLURM_ARRAY_TASK_ID
#     --out=runs/searched/$SLURM_ARRAY_TASK_ID'
# With --engine=ray, one job on a Ray cluster searches all of them.
#SBATCH --job-name=gan_jax
#SBATCH --nodes=1
#SBATCH --gpus-per-node=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%j.out
set -uo pipefail

if [[ $# -eq 0 ]]; then
  sed -n '2,/^#SBATCH/{/^#SBATCH/!s/^# \{0,1\}//p}' "$0"
  exit 2
fi

# A signal may reach this shell too; it still waits until the processes have saved.
trap : TERM

# When one process has ended, the others are stopped after a minute: they wait for it.
code=0
srun --wait=60 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
  "${PYTHON:-.venv/bin/python}" -m gan_jax.main --distributed "$@" || code=$?
if ((code == 143)); then
  echo "slurm.sh: stopped by SIGTERM after saving; the job is queued again"
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
