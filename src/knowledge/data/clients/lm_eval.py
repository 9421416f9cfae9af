

# EleutherAI's lm-evaluation-harness, model type `local-chat-completions`. Tried with lm-eval 0.4.13.
#
# The harness writes its samples when everything is done. Asked for a few questions at a time (`samples=`) it loses at
# most those, and what has a result is not asked again: its own `use_cache` is not needed.
ABOUT = "Runs a task of lm-eval with one result file per question."
TASK = "the task's name; its YAML may lie in the working directory"


def names_of(task, fields):
    """{id: place} of a task's documents; their number is the id of those that have none."""
    names = {}
    for place, document in enumerate(task.eval_docs):
        names[str(next((document[field] for field in fields if field in document), place))] = place
    return names


def run_shard(job):
    from lm_eval import simple_evaluate
    from lm_eval.models.openai_completions import LocalChatCompletion
    from lm_eval.tasks import TaskManager, get_task_dict

    name, at_once = job["task"], job["concurrency"]
    manager = TaskManager(include_path=os.getcwd())
    names = names_of(get_task_dict([name], manager)[name], job["fields"])
    todo = mine(job, list(names))
    model = LocalChatCompletion(
        base_url=job["url"] + "/chat/completions", model=job["model"], num_concurrent=at_once, max_retries=3,
        tokenized_requests=False,
    )
    ids = {place: name for name, place in names.items()}
    for start in range(0, len(todo), 4 * at_once):
        places = [names[each] for each in todo[start : start + 4 * at_once]]
        found = simple_evaluate(
            model=model, tasks=[name], samples={name: places}, task_manager=manager, apply_chat_template=True,
            bootstrap_iters=0,
        )
        for sample in found["samples"][name]:
            score = sample.get(sample["metrics"][0]) if sample.get("metrics") else None
            write(job["results"], ids[sample["doc_id"]], dict(
                status="done", correct=verdict(score), score=score, answer=sample["filtered_resps"][0],
                target=sample["target"],
            ))
