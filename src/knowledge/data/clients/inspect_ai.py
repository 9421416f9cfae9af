

# UK AISI's Inspect. Tried with inspect-ai 0.3.285.
#
# A hook writes each sample as it ends; a restart asks for the missing ids alone (`sample_id=`). Inspect's own logs are
# kept beside the results, in `.inspect`, for `inspect view`.
ABOUT = "Runs a task of Inspect with one result file per sample."
TASK = "`FILE.py`, `FILE.py@task` or a registered task; `NAME` is `NAME.py` where that file is"


def run_shard(job):
    # The provider `openai-api/SERVICE/MODEL` takes its key from the service's variable and does not start without one.
    os.environ.setdefault("TOOLORCH_API_KEY", "none")
    from inspect_ai import eval as evaluate
    from inspect_ai.hooks import Hooks, SampleEnd, hooks

    class Results(Hooks):
        async def on_sample_end(self, data: SampleEnd) -> None:
            sample = data.sample
            if sample.error:
                kind = sample.error.message.partition("(")[0].partition(":")[0]
                record = dict(status="error", error_type=kind, error=sample.error.message)
            else:
                score = next(iter((sample.scores or {}).values()), None)
                record = dict(status="done", correct=verdict(score.value if score else None))
                record["score"] = score.value if score else None
            record.update(answer=sample.output.completion, target=sample.target)
            write(job["results"], str(sample.id), record)

    hooks(name="toolorch_results", description="writes each sample's result as it ends")(Results)
    task = job["task"]
    if "." not in task and pathlib.Path(task + ".py").exists():
        task += ".py"
    ids = mine(job, samples_of(task))
    logs = evaluate(
        task, model="openai-api/toolorch/" + job["model"], model_base_url=job["url"], sample_id=ids,
        max_samples=job["concurrency"], max_connections=job["concurrency"], fail_on_error=False, display="none",
        log_dir=str(pathlib.Path(job["results"]) / ".inspect"),
    )
    sys.exit(0 if all(log.status == "success" for log in logs) else 1)


def samples_of(task):
    """The ids of a task's samples."""
    import tempfile

    from inspect_ai import eval as evaluate

    with tempfile.TemporaryDirectory() as logs_away:
        logs = evaluate(task, model="mockllm/model", run_samples=False, display="none", log_dir=logs_away)
    return [str(name) for name in logs[0].eval.dataset.sample_ids]
