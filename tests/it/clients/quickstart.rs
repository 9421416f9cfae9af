//! The client, the services and the questions of `clusters/quickstart`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::fake::Fake;
use super::{
    EXPERT, ORCHESTRATOR, ROOT, Service, at, markers, model_config, python, result, workplace,
};

fn quickstart() -> PathBuf {
    Path::new(ROOT).join("clusters/quickstart")
}

fn run_quickstart(folder: &Path, config: &Path) -> Output {
    python(&quickstart(), "client.py")
        .arg("--model-config")
        .arg(config)
        .arg("--dataset")
        .arg(folder.join("data.jsonl"))
        .arg("--output")
        .arg(folder.join("out"))
        .args([
            "--orchestrator",
            ORCHESTRATOR,
            "--expert",
            EXPERT,
            "--concurrency",
            "4",
            "--max-rounds",
            "6",
        ])
        .output()
        .unwrap()
}

#[test]
fn the_committed_questions_are_those_of_their_script() {
    let output = python(&quickstart(), "make_questions.py").output().unwrap();
    let committed = fs::read(quickstart().join("questions.jsonl")).unwrap();
    assert_eq!(
        committed
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .count(),
        200
    );
    assert!(
        output.stdout == committed,
        "run `make_questions.py > questions.jsonl`"
    );
}

#[test]
fn retrieval_is_not_ready_while_it_is_cold() {
    assert_eq!(
        Service::start(&quickstart(), "retrieval.py", &["--cold-start", "600"]).health(),
        503
    );
    assert_eq!(
        Service::start(&quickstart(), "retrieval.py", &["--cold-start", "0"]).health(),
        200
    );
}

#[test]
fn the_quickstart_client_finishes_skips_and_resumes() {
    let (folder, orchestrator, expert) = (workplace(6), Fake::new(), Fake::new());
    let retrieval = Service::start(&quickstart(), "retrieval.py", &["--cold-start", "0"]);
    let judge = Service::start(&quickstart(), "judge.py", &[]);
    let config = model_config(
        folder.path(),
        json!({ORCHESTRATOR: at(&[orchestrator.port]), EXPERT: at(&[expert.port]),
               "retrieval": at(&[retrieval.port]), "judge": at(&[judge.port])}),
    );

    let first = run_quickstart(folder.path(), &config);
    assert!(first.status.success());
    assert_eq!(
        markers(&first, "QUICKSTART")[5],
        "id=a-5 status=done correct=True"
    );
    // Two tools, one a round, then the answer.
    assert_eq!((orchestrator.requests(), expert.requests()), (18, 6));
    let done = result(folder.path(), "a-3");
    assert_eq!(
        (&done["answer"], &done["correct"], &done["rounds"]),
        (&json!("42"), &json!(true), &json!(3))
    );
    let tools: Vec<_> = done["calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["tool"].as_str().unwrap())
        .collect();
    assert_eq!(
        tools,
        [
            "orchestrator",
            "search",
            "orchestrator",
            "ask_expert",
            "orchestrator",
            "judge"
        ]
    );
    assert_eq!(done["calls"][3]["model"], EXPERT);
    assert_eq!(
        done["calls"][3]["endpoint"],
        format!("127.0.0.1:{}", expert.port)
    );
    assert!(done["calls"][3]["ms"].as_f64().unwrap() > 0.0);

    fs::remove_file(folder.path().join("out/a-2.json")).unwrap();
    let second = run_quickstart(folder.path(), &config);
    assert_eq!(expert.requests(), 7);
    assert_eq!(
        markers(&second, "QUICKSTART"),
        [0, 1, 2, 3, 4, 5].map(|n| match n {
            2 => "id=a-2 status=done correct=True".to_owned(),
            n => format!("id=a-{n} status=skipped"),
        })
    );
}

#[test]
fn the_quickstart_client_survives_a_dead_replica_and_names_a_refusal() {
    let (folder, live, refusing) = (
        workplace(3),
        Fake::new(),
        Fake::answering(StatusCode::BAD_REQUEST),
    );
    // Nothing listens on port 1. The file on disk names the live one, which each later attempt finds.
    let config = model_config(
        folder.path(),
        json!({ORCHESTRATOR: at(&[live.port]), EXPERT: at(&[refusing.port])}),
    );
    let started = folder.path().join("start.json");
    let stale = json!({ORCHESTRATOR: at(&[1]), EXPERT: at(&[refusing.port]), "vllm_model_config_path": config,
                       "retrieval": at(&[1])});
    fs::write(&started, stale.to_string()).unwrap();

    let output = run_quickstart(folder.path(), &started);
    assert!(output.status.success());
    let broken = result(folder.path(), "a-0");
    assert_eq!(
        (&broken["status"], &broken["error_type"]),
        (&json!("error"), &json!("CallFailed"))
    );
    assert_eq!(
        broken["error"],
        "`retrieval` has no replica in the model config"
    );
    let calls = broken["calls"].as_array().unwrap();
    assert!(
        calls[0]["error"]
            .as_str()
            .unwrap()
            .starts_with("ConnectionRefusedError")
    );
    assert_eq!(
        (&calls[1]["tool"], &calls[1]["error"]),
        (&json!("orchestrator"), &Value::Null)
    );
    assert_eq!(
        markers(&output, "QUICKSTART")[0],
        "id=a-0 status=error error_type=CallFailed"
    );
}
