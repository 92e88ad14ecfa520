#!/usr/bin/env bash
# Train on many GPUs under SLURM: one process for each GPU, on any number of nodes.
#
#   sbatch --nodes=2 --gpus-per-node=4 --ntasks-per-node=4 launch/slurm.sh \
#     --config=configs/pixelcgan.py:fashion_mnist --workdir=runs/fashion
#
# The arguments after the script are flags of gan_jax.main. Submit it in the repository, on
# a file system that all nodes share. $PYTHON is the interpreter (default:
# .venv/bin/python). JAX finds its processes by SLURM's variables and gives each one GPU of
# its node; each process must see all GPUs of its node. batch_size is the batch of all
# processes together.
#
# Two minutes before the time limit, and when the job is preempted, all processes get
# SIGTERM, finish the step, save, and exit with 143. The job is then queued again and
# continues from there. After a node failure SLURM itself queues it again.
#
# A job array applies a prior to many images, one folder of images for each job:
#   sbatch --array=0-9 --wrap='.venv/bin/python -m launch.batch --engine=local \
#     --config=configs/inpaint.py:yeh --config.prior=runs/gan \
#     --images=photos/$SLURM_ARRAY_TASK_ID \
#     --out=runs/searched/$SLURM_ARRAY_TASK_ID'
# With --engine=ray one job does all, where a job has started a Ray cluster.
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

# A signal may reach this shell too. It still waits for the processes to save.
trap : TERM

# When the first process has ended, the others get a minute; they would wait for it.
code=0
srun --wait=60 --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
  "${PYTHON:-.venv/bin/python}" -m gan_jax.main --distributed "$@" || code=$?
if ((code == 143)); then
  echo "slurm.sh: stopped by SIGTERM after saving; the job is queued again"
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
