//! The stand-in for `ToolOrchestra`'s clients in `tests/fixtures/toolorch_client`.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use axum::http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use toolorch::knowledge::adapters;

use super::fake::Fake;
use super::{
    EXPERT, ORCHESTRATOR, ROOT, Service, at, markers, model_config, python, result, workplace,
};

/// A copy of the ToolOrchestra stand-in, with its servers.
struct ToolOrchestra {
    folder: TempDir,
    model: Fake,
    _retrieval: Service,
    config: Value,
}

impl ToolOrchestra {
    fn new(count: usize, model: Fake) -> Self {
        let folder = workplace(count);
        for entry in fs::read_dir(Path::new(ROOT).join("tests/fixtures/toolorch_client")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        let retrieval = Service::start(folder.path(), "retrieval_wiki.py", &[]);
        let pool = at(&[model.port]);
        // The orchestrator is a path that exists here: only then does the client send tools.
        let config = json!({checkpoint(folder.path()): pool, "Qwen/Qwen2.5-Coder-14B-Instruct": pool,
            "openai/gpt-oss-20b": pool, EXPERT: pool, "retrieval": at(&[retrieval.port])});
        Self {
            folder,
            model,
            _retrieval: retrieval,
            config,
        }
    }

    /// The command of an adapter that toolorch knows, filled in as an evaluation would.
    fn client(&self, adapter: &str, model_name: &str) -> Command {
        let adapter = adapters::adapter(adapter).unwrap();
        let more = adapter
            .optional
            .iter()
            .flat_map(|(_, arguments)| *arguments);
        let arguments = adapter
            .command
            .iter()
            .chain(more)
            .map(|argument| match *argument {
                "{orchestrator}" => model_name,
                "{results}" => "out",
                "{config}" => "model_config.json",
                "{dataset}" => "data.jsonl",
                "{concurrency}" => "2",
                "{max_rounds}" => "5",
                literal => literal,
            });
        model_config(self.folder.path(), self.config.clone());
        let mut command = python(self.folder.path(), adapter.command[1]);
        command
            .args(arguments.skip(2))
            .env("CLIENT_TIME_SCALE", "0")
            .env(
                "OPENAI_BASE_URL",
                format!("http://127.0.0.1:{}/v1", self.model.port),
            )
            .env("OPENAI_API_KEY", "none")
            .env("TOOL_ORCH_LLM_LOG_PATH", "calls.jsonl");
        command
    }

    fn hle(&self) -> Command {
        self.client("toolorchestra-hle", &checkpoint(self.folder.path()))
    }

    fn results(&self) -> usize {
        let names = fs::read_dir(self.folder.path().join("out")).unwrap();
        names
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .path()
                    .extension()
                    .is_some_and(|end| end == "json")
            })
            .count()
    }
}

fn checkpoint(folder: &Path) -> String {
    format!("{}/", folder.display())
}

#[test]
fn the_hle_stand_in_writes_what_the_real_client_writes() {
    let lab = ToolOrchestra::new(4, Fake::new());
    let output = lab.hle().output().unwrap();
    assert!(output.status.success());
    assert_eq!(
        markers(&output, "HLE")[3],
        "id=a-3 status=done correct=True"
    );
    let done = result(lab.folder.path(), "a-1");
    let keys: Vec<_> = done
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "id",
            "problem",
            "all_tool_calls",
            "all_tool_responses",
            "answer",
            "all_message_responses",
            "correct",
            "status"
        ]
    );
    // Every tool's response carries the whole config, as the real files do.
    assert_eq!(
        done["all_tool_responses"]["turn_2_response"][0]["vllm_model_configs"][EXPERT],
        at(&[lab.model.port])
    );
    assert_eq!(
        done["all_tool_responses"]["turn_1_response"][0]["search_backend"],
        "retrieval"
    );
    let out = lab.folder.path().join("out");
    assert!(out.join("answer_cache").is_dir() && out.join("step_2/tool_return").is_dir());
    // Three orchestrator calls and one per expert and question; the exact match needs no judge.
    let log = fs::read_to_string(lab.folder.path().join("calls.jsonl")).unwrap();
    assert_eq!((log.lines().count(), lab.model.requests()), (24, 24));
    let text = String::from_utf8(output.stdout).unwrap();
    let routed = format!(
        "DEBUG: Calling vLLM at http://127.0.0.1:{}/v1/chat/completions (model={EXPERT}) req_id=",
        lab.model.port
    );
    assert_eq!(text.matches(&routed).count(), 4);
    assert_eq!(text.matches("vLLM stream complete (took ").count(), 12);
}

#[test]
fn the_adapters_know_the_stand_ins_markers_and_results() {
    let lab = ToolOrchestra::new(1, Fake::new());
    for name in ["toolorchestra-hle", "toolorchestra-frames"] {
        let adapter = adapters::adapter(name).unwrap();
        let output = lab
            .client(name, &checkpoint(lab.folder.path()))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let marker = regex_lite::Regex::new(adapter.marker.unwrap()).unwrap();
        let found = marker.captures(&text).unwrap();
        assert_eq!((&found["id"], &found["status"]), ("a-0", "done"));
        let done = result(lab.folder.path(), "a-0");
        for key in adapter.valid {
            assert!(done.get(key).is_some(), "{name}: {key}");
        }
        fs::remove_file(lab.folder.path().join("out/a-0.json")).unwrap();
    }
}

#[test]
fn the_hle_stand_in_skips_whatever_file_exists() {
    let lab = ToolOrchestra::new(3, Fake::new());
    fs::create_dir(lab.folder.path().join("out")).unwrap();
    fs::write(lab.folder.path().join("out/a-0.json"), "").unwrap();
    fs::write(lab.folder.path().join("out/a-1.json"), "{\"id\": \"a-1\"").unwrap();
    let output = lab.hle().output().unwrap();
    assert_eq!(
        markers(&output, "HLE"),
        [
            "id=a-0 status=skipped",
            "id=a-1 status=skipped",
            "id=a-2 status=done correct=True"
        ]
    );
}

#[test]
fn the_stand_ins_ask_the_judge_where_the_answer_differs() {
    let lab = ToolOrchestra::new(1, Fake::new());
    let other = r#"{"id": "b", "question": "What is 1 + 1?", "answer": "2"}"#;
    fs::write(lab.folder.path().join("data.jsonl"), other).unwrap();
    let output = lab
        .client("toolorchestra-frames", &checkpoint(lab.folder.path()))
        .output()
        .unwrap();
    assert_eq!(
        markers(&output, "FRAMES"),
        ["id=b status=done correct=False"]
    );
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("DEBUG: Calling OpenAI model=gpt-5\n")
    );
    fs::remove_file(lab.folder.path().join("out/b.json")).unwrap();
    let output = lab.hle().env_remove("OPENAI_API_KEY").output().unwrap();
    assert_eq!(
        markers(&output, "HLE"),
        ["id=b status=error error_type=ValueError"]
    );
}

#[test]
fn without_a_path_as_model_name_no_tools_are_sent() {
    let mut lab = ToolOrchestra::new(2, Fake::new());
    lab.config[ORCHESTRATOR] = at(&[lab.model.port]);
    let frames = lab
        .client("toolorchestra-frames", ORCHESTRATOR)
        .output()
        .unwrap();
    assert_eq!((frames.status.code(), lab.results()), (Some(0), 0));
    let hle = lab
        .client("toolorchestra-hle", ORCHESTRATOR)
        .output()
        .unwrap();
    assert_eq!(
        markers(&hle, "HLE"),
        [
            "id=a-0 status=done correct=False",
            "id=a-1 status=done correct=False"
        ]
    );
    let calls = &result(lab.folder.path(), "a-0")["all_tool_calls"];
    assert_eq!(calls[4], "342 invalid tool calls It is \\boxed{42}.");
}

#[test]
fn a_replica_that_answers_500_costs_thirty_requests_and_the_task() {
    let lab = ToolOrchestra::new(1, Fake::answering(StatusCode::INTERNAL_SERVER_ERROR));
    let output = lab.hle().output().unwrap();
    assert_eq!(
        (output.status.code(), lab.model.requests(), lab.results()),
        (Some(0), 30, 0)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Retry 4/5 in 20 seconds...\n") && text.contains("FATAL: "));
    let refusing = ToolOrchestra::new(1, Fake::answering(StatusCode::BAD_REQUEST));
    refusing.hle().output().unwrap();
    assert_eq!(refusing.model.requests(), 2);
}

#[test]
fn a_failed_expert_is_a_result_in_error_with_the_name_of_the_exception() {
    let (mut lab, broken) = (
        ToolOrchestra::new(1, Fake::new()),
        Fake::answering(StatusCode::SERVICE_UNAVAILABLE),
    );
    for (expert, error) in [
        (broken.port, "InternalServerError"),
        (1, "APIConnectionError"),
    ] {
        lab.config["openai/gpt-oss-20b"] = at(&[expert]);
        let output = lab.hle().output().unwrap();
        assert_eq!(
            markers(&output, "HLE"),
            [format!("id=a-0 status=error error_type={error}")]
        );
        assert_eq!(result(lab.folder.path(), "a-0")["error_type"], error);
        fs::remove_file(lab.folder.path().join("out/a-0.json")).unwrap();
    }
}

#[test]
fn a_missing_key_or_dataset_is_told_by_nothing_or_by_the_exit_code() {
    let mut lab = ToolOrchestra::new(2, Fake::new());
    lab.config
        .as_object_mut()
        .unwrap()
        .remove("openai/gpt-oss-20b");
    let output = lab.hle().output().unwrap();
    assert_eq!(
        markers(&output, "HLE")[0],
        "id=a-0 status=error error_type=KeyError"
    );
    lab.config
        .as_object_mut()
        .unwrap()
        .remove(&checkpoint(lab.folder.path()));
    fs::remove_dir_all(lab.folder.path().join("out")).unwrap();
    assert_eq!(
        (lab.hle().output().unwrap().status.code(), lab.results()),
        (Some(0), 0)
    );
    let pointer = "version https://git-lfs.github.com/spec/v1\n";
    fs::write(lab.folder.path().join("data.jsonl"), pointer).unwrap();
    assert_eq!(
        lab.hle()
            .stderr(Stdio::null())
            .output()
            .unwrap()
            .status
            .code(),
        Some(1)
    );
}

#[test]
fn faults_strike_when_asked_and_only_once() {
    let lab = ToolOrchestra::new(3, Fake::new());
    let faulty = |fault: &str| {
        lab.hle()
            .args(["--concurrency", "1"])
            .env("CLIENT_FAULT", fault)
            .output()
            .unwrap()
    };
    let died = faulty("die:1");
    assert_eq!((died.status.signal(), lab.results()), (Some(9), 1));
    let torn = faulty("torn:1");
    assert_eq!((torn.status.signal(), lab.results()), (Some(9), 2));
    assert!(
        serde_json::from_slice::<Value>(&fs::read(lab.folder.path().join("out/a-1.json")).unwrap())
            .is_err()
    );
    let early = faulty("exit0-early:0");
    assert_eq!((early.status.code(), lab.results()), (Some(0), 2));
    fs::remove_file(lab.folder.path().join("out/a-1.json")).unwrap();
    let errors = faulty("all-errors");
    assert_eq!(
        markers(&errors, "HLE")[1],
        "id=a-1 status=error error_type=RuntimeError"
    );

    fs::remove_dir_all(lab.folder.path().join("out")).unwrap();
    let once = || {
        lab.hle()
            .args(["--concurrency", "1"])
            .env("CLIENT_FAULT", "die:1")
            .env("CLIENT_FAULT_ONCE", "struck")
            .output()
            .unwrap()
    };
    assert_eq!(once().status.signal(), Some(9));
    assert_eq!(markers(&once(), "HLE").len(), 3);
    assert_eq!(markers(&faulty("no-marker"), "HLE"), [""; 0]);
}
