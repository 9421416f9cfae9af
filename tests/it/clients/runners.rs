//! `toolorch client`: what is missing is shared out among the replicas, one result file per question.
//!
//! `tests/real` runs it around the real lm-eval and Inspect; here a package of the harness's names stands in.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

/// A harness of three functions: every answer is the URL that was asked.
const HARNESS: &[(&str, &str)] = &[
    (
        "__init__.py",
        "def simple_evaluate(model, tasks, samples, task_manager, apply_chat_template, bootstrap_iters):\n    \
         from .tasks import DOCUMENTS\n    \
         found = [dict(doc_id=place, metrics=['exact_match'], exact_match=1.0, filtered_resps=[model.url],\n        \
         target=DOCUMENTS[place]['answer']) for place in samples[tasks[0]]]\n    \
         return {'samples': {tasks[0]: found}}\n",
    ),
    (
        "tasks.py",
        "DOCUMENTS = [{'id': 'q-%d' % n, 'answer': str(n)} for n in range(5)]\n\
         class TaskManager:\n    def __init__(self, include_path): pass\n\
         class Task: eval_docs = DOCUMENTS\n\
         def get_task_dict(names, manager): return {names[0]: Task}\n",
    ),
    ("models/__init__.py", ""),
    (
        "models/openai_completions.py",
        "class LocalChatCompletion:\n    def __init__(self, base_url, **rest): self.url = base_url\n",
    ),
];

const ENDPOINTS: &str = "# written by toolorch for run x\nCHAT_BASE_URL=http://a/v1\n\
                         CHAT_BASE_URLS=http://a/v1,http://b/v1\nCHAT_MODEL='Qwen/Qwen3 8B'\n";

/// A folder with the harness, five questions and these endpoints.
fn scene(endpoints: &str) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for (name, text) in HARNESS {
        let path = place.path().join("lm_eval").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::write(place.path().join("endpoints.env"), endpoints).unwrap();
    let questions: Vec<String> = (0..5).map(|n| format!("{{\"id\": \"q-{n}\"}}")).collect();
    let questions = questions.join("\n");
    fs::write(place.path().join("questions.jsonl"), questions).unwrap();
    place
}

fn client(place: &Path, more: &[&str]) -> Command {
    let mut command = Command::cargo_bin("toolorch").unwrap();
    command
        .current_dir(place)
        .env_remove("PYTHONUNBUFFERED")
        .env_remove("PYTHONDONTWRITEBYTECODE")
        .env("PYTHONPATH", place)
        .args(["client", "lm-eval", "--config", "endpoints.env"])
        .args(["--results", "out", "--task", "sums"])
        .args(more);
    command
}

fn result(place: &Path, name: &str) -> Value {
    let text = fs::read_to_string(place.join("out").join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn what_is_missing_is_shared_out_among_the_replicas() {
    let scene = scene(ENDPOINTS);
    let place = scene.path();
    fs::create_dir(place.join("out")).unwrap();
    fs::write(
        place.join("out/q-1.json"),
        r#"{"id": "q-1", "status": "done"}"#,
    )
    .unwrap();
    let done = client(place, &["--dataset", "questions.jsonl"])
        .assert()
        .success();
    let said = String::from_utf8(done.get_output().stdout.clone()).unwrap();
    assert_eq!(
        said.matches("[QUESTION_COMPLETE] id=q-").count(),
        4,
        "{said}"
    );
    assert!(
        said.contains("[QUESTION_COMPLETE] id=q-3 status=done correct=True"),
        "{said}"
    );
    assert_eq!(
        result(place, "q-1").as_object().unwrap().len(),
        2,
        "it was not asked again"
    );
    let asked = |name| result(place, name)["answer"].as_str().unwrap().to_owned();
    let places = ["q-0", "q-2", "q-3", "q-4"].map(asked);
    let of = |url: &str| places.iter().filter(|place| place.starts_with(url)).count();
    assert_eq!(
        (of("http://a/v1/chat"), of("http://b/v1/chat")),
        (2, 2),
        "{places:?}"
    );
    assert_eq!(result(place, "q-4")["target"], "4");

    let again = client(place, &["--dataset", "questions.jsonl"])
        .assert()
        .success();
    assert_eq!(
        again.get_output().stdout,
        b"every question has its result\n"
    );
}

#[test]
fn without_a_dataset_all_of_the_task_is_run() {
    let scene = scene(ENDPOINTS);
    client(scene.path(), &[]).assert().success();
    for n in 0..5 {
        assert_eq!(result(scene.path(), &format!("q-{n}"))["correct"], true);
    }
}

#[test]
fn what_cannot_be_asked_is_said() {
    let two = scene(&format!(
        "{ENDPOINTS}JUDGE_BASE_URLS=http://c\nJUDGE_MODEL=gpt-5\n"
    ));
    let said = |command: &mut Command| {
        String::from_utf8(command.assert().failure().get_output().stderr.clone()).unwrap()
    };
    assert_eq!(
        said(&mut client(two.path(), &[])),
        "say which model is asked, with --model: there are Qwen/Qwen3 8B, gpt-5\n"
    );
    client(two.path(), &["--model", "chat"]).assert().success();

    let other = scene(ENDPOINTS);
    fs::write(other.path().join("questions.jsonl"), "{\"id\": \"x-1\"}\n").unwrap();
    assert_eq!(
        said(&mut client(other.path(), &["--dataset", "questions.jsonl"])),
        "the task has no question with the id x-1; its ids are q-0, q-1, q-2, …\n"
    );
}

#[test]
fn ids_have_their_own_key_and_some_alone_can_be_asked() {
    let scene = scene(ENDPOINTS);
    let place = scene.path();
    let tasks = place.join("lm_eval/tasks.py");
    let named = fs::read_to_string(&tasks)
        .unwrap()
        .replace("'id':", "'qid':");
    fs::write(tasks, named).unwrap();
    fs::write(
        place.join("questions.jsonl"),
        "{\"qid\": \"q-0\"}\n{\"qid\": \"q-3\"}\n",
    )
    .unwrap();
    let with = ["--dataset", "questions.jsonl"];
    let refused = client(place, &with).assert().failure();
    assert_eq!(
        String::from_utf8(refused.get_output().stderr.clone()).unwrap(),
        "a question has none of the keys id, but qid: name its id with --id-field\n"
    );
    let more = ["--id-field", "qid", "--id", "q-3"];
    client(place, &[&with[..], &more].concat())
        .assert()
        .success();
    let written = fs::read_dir(place.join("out")).unwrap();
    let names: Vec<_> = written.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["q-3.json"]);
}
