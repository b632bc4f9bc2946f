"""Where the workers of one training are: what TF_CONFIG says, or `srun` of SLURM."""

import json
import os

from tfpix2pix.pipelines.base import command_line
from tfpix2pix.pipelines.base.errors import UsageError

# Worker i of a node listens on the first port of its step of SLURM plus i. A step has 16 ports and a job
# those of 8 steps, so that the steps of a job, and of jobs that follow each other, differ in theirs; a step
# of more than 16 workers on a node takes those of the next steps of its job. Some ports of a job come back
# after 117 jobs, and all of them after 937, which is prime.
_FIRST_PORT, _PORTS_OF_STEP, _STEPS_OF_JOB, _STEPS = 15000, 16, 8, 937


def read_addresses() -> tuple[list[str], int]:
    """Returns host:port of each worker, the chief's first, and the place of this process among them.

    Without TF_CONFIG, the processes that one `srun` of SLURM has started are the workers; TF_CONFIG is set
    then, because TensorFlow reads it.

    Raises:
      UsageError: when neither says it.
    """
    if _is_srun():
        os.environ["TF_CONFIG"] = json.dumps(_ask_slurm())
    return _read(os.environ.get("TF_CONFIG", ""))


def is_chief() -> bool:
    """Tells whether this process is the first of the workers that `read_addresses` returns, or alone.

    If what says it is wrong, this process is not the first; `read_addresses` says what is wrong then.
    """
    try:
        told = json.dumps(_ask_slurm()) if _is_srun() else os.environ.get("TF_CONFIG") or "{}"
        return "cluster" not in json.loads(told) or _read(told)[1] == 0
    except (ValueError, TypeError):
        return False


def _is_srun() -> bool:
    """Tells whether one `srun` of SLURM has started several processes, and TF_CONFIG says nothing else."""
    return not os.environ.get("TF_CONFIG") and int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1


def _read(tf_config: str) -> tuple[list[str], int]:
    try:
        settings = json.loads(tf_config)
        cluster, task = settings["cluster"], (settings["task"]["type"], int(settings["task"]["index"]))
        tasks = [(kind, place) for kind in ("chief", "worker") for place in range(len(cluster.get(kind, ())))]
        addresses = [str(cluster[kind][place]) for kind, place in tasks]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _explain() from error
    if task[0] in ("evaluator", "ps"):
        raise UsageError(
            f"TF_CONFIG gives this process the role of {task[0]}, which a training does not have: "
            "the workers validate. Leave such processes out (on Vertex AI, those are the third and the "
            "fourth pool)"
        )
    if task not in tasks:
        raise _explain()
    return addresses, tasks.index(task)


def _ask_slurm() -> dict:
    """Returns what TF_CONFIG is for the processes of this step of SLURM.

    Each finds itself by its node and its number there, so that it does not matter in which order SLURM
    numbers them.
    """
    command_line.import_tensorflow()
    import tensorflow as tf

    try:
        tasks = int(os.environ["SLURM_STEP_NUM_TASKS"])
        step = int(os.environ["SLURM_JOB_ID"]) * _STEPS_OF_JOB + int(os.environ.get("SLURM_STEP_ID", 0))
        port = _FIRST_PORT + step % _STEPS * _PORTS_OF_STEP
        # SLURM gives each process its GPUs; the resolver wants to count some.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=port, gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
        addresses = resolver.cluster_spec().as_dict()["worker"]
        own = f"{os.environ['SLURMD_NODENAME']}:{port + int(os.environ['SLURM_LOCALID'])}"
        task = {"type": "worker", "index": addresses.index(own)}
    except (ValueError, KeyError, RuntimeError) as error:
        raise UsageError(
            f"the variables of SLURM do not say which workers there are ({error}); set TF_CONFIG in each "
            "process"
        ) from error
    return {"cluster": {"worker": addresses}, "task": task}


def _explain() -> UsageError:
    return UsageError(
        "`strategy=multiworker` needs the TF_CONFIG variable in each process, such as "
        '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}, or '
        f"srun of SLURM. Received: {os.environ.get('TF_CONFIG', 'nothing')}"
    )
