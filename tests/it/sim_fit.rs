//! `toolorch sim capture` and `toolorch sim fit`, on a simulated server whose parameters are known.

use std::path::Path;
use std::process::{Child, Command, Output};

use serde_json::{Value, json};

use crate::sim::Server;

fn toolorch(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_toolorch"));
    command.args(["sim"]).args(args);
    command
}

fn run(args: &[&str]) -> Output {
    toolorch(args).output().unwrap()
}

fn stderr(output: Output) -> String {
    String::from_utf8(output.stderr).unwrap()
}

/// A running capture; ended when dropped.
struct Capture(Child);

impl Capture {
    /// Its first look lies on the disk when this returns.
    fn start(server: &Server, out: &Path) -> Self {
        let out_text = out.to_str().unwrap();
        let args = [
            "capture",
            &server.base,
            "--out",
            out_text,
            "--every",
            "100ms",
        ];
        let child = toolorch(&args).spawn().unwrap();
        while looks(out) == 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Self(child)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// How many looks there are.
fn looks(out: &Path) -> usize {
    let units = std::fs::read_dir(out).into_iter().flatten();
    let files = units.flat_map(|unit| std::fs::read_dir(unit.unwrap().path()).unwrap());
    let whole = |file: &std::fs::DirEntry| file.file_name().to_string_lossy().ends_with(".prom");
    files.filter(|file| whole(file.as_ref().unwrap())).count()
}

/// So many clients, each of which asks so often, one question after the other.
fn load(server: &Server, clients: usize, each: usize) {
    let url = format!("{}/v1/chat/completions", server.base);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let ask = |number: usize| {
            let text = format!("Question {number}: {}", "what is it? ".repeat(100));
            let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
            let request = client.post(&url).body(body.to_string());
            async move { assert_eq!(request.send().await.unwrap().status(), 200) }
        };
        let one = |first: usize| async move {
            for number in 0..each {
                ask(first * 1000 + number).await;
            }
        };
        futures_util::future::join_all((0..clients).map(one)).await;
    });
}

/// The parameters come out of a server that had them. Bounds are wide: the clock of a busy machine runs unevenly, and
/// at this speed a hundredth of a second is half a virtual one.
#[test]
fn what_a_server_was_given_is_found_again() {
    let truth = [
        ("TOOLORCH_SIM_PREFILL_RATE", "5000"),
        ("TOOLORCH_SIM_DECODE_RATE", "40"),
        ("TOOLORCH_SIM_BATCH_SLOWDOWN", "0.03"),
        ("TOOLORCH_SIM_CACHE_TOKENS", "123456"),
        ("TOOLORCH_SIM_ANSWER_TOKENS", "300"),
        ("TOOLORCH_SIM_ANSWER_SPREAD", "0.4"),
        ("TOOLORCH_SIM_SPEED", "50"),
    ];
    let server = Server::start_with(&["m"], "0.32.0", &truth);
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("capture");
    let capture = Capture::start(&server, &out);
    for (clients, each) in [(2, 4), (32, 5), (8, 4)] {
        load(&server, clients, each);
    }
    // One look more after the last answer.
    let before = looks(&out);
    while looks(&out) <= before + 1 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    drop(capture);

    let path = out.to_str().unwrap();
    let said = run(&["fit", path, "--format", "json", "--speed", "50"]);
    assert!(said.status.success(), "{said:?}");
    let all: Value = serde_json::from_slice(&said.stdout).unwrap();
    let model = &all["models"]["m"];
    let near = |key: &str, truth: f64, share: f64| {
        let found = model["sim"][key].as_f64().unwrap();
        assert!(
            (found / truth - 1.0).abs() < share,
            "{key}: {found}, not {truth}\n{model:#}"
        );
    };
    near("decode_rate", 40.0, 0.4);
    near("answer_tokens", 300.0, 0.15);
    near("answer_spread", 0.4, 0.3);
    assert_eq!(model["sim"]["cache_tokens"], 123_456);
    assert_eq!(
        (&model["replicas"], &model["requests"]),
        (&json!(1), &json!(200.0))
    );
    let measured = model["measured"]["mean_s"].as_f64().unwrap();
    assert!(measured > 300.0 / 40.0, "{measured}");

    let yaml = run(&["fit", path, "--speed", "50", "--model", "m"]);
    let text = String::from_utf8(yaml.stdout).unwrap();
    assert!(text.starts_with("# m: 200 requests, "), "{text}");
    assert!(text.contains("\n  cache_tokens: 123456"), "{text}");
    assert_eq!(
        stderr(run(&["fit", path, "--model", "other"])).replace(path, "CAPTURE"),
        "error: `CAPTURE` says nothing of `other`, only of `m`\n"
    );
}

#[test]
fn what_cannot_be_fitted_is_said() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().to_str().unwrap();
    std::fs::create_dir(place.path().join("unit")).unwrap();
    std::fs::write(place.path().join("unit/17.prom"), "go_goroutines 3\n").unwrap();
    std::fs::write(
        place.path().join("log.jsonl"),
        "{\"model\": \"m\", \"duration\": 1}\n",
    )
    .unwrap();
    let log = format!("{path}/log.jsonl");
    let said = [
        run(&["fit", path]),
        run(&["fit", &log]),
        run(&["fit", path, "--prior", "speed=3"]),
        run(&["capture", "127.0.0.1:9", "--out", path, "--for", "1ms"]),
    ];
    let codes: Vec<i32> = said
        .iter()
        .map(|output| output.status.code().unwrap())
        .collect();
    assert_eq!(codes, [2, 2, 2, 4]);
    let texts: Vec<String> = said.into_iter().map(stderr).collect();
    insta::assert_snapshot!(texts.concat().replace(path, "PLACE"), @r"
    error: nothing of `PLACE` can be fitted: no look has a model's counters: are they those of vLLM?
    error: nothing of `PLACE/log.jsonl` can be fitted: `m`: calls that succeeded: 1; at least 20 are needed
    error: `--prior`: there is no `speed`: use `prefill_rate`, `decode_rate`, `batch_slowdown`, `cache_tokens`, `max_num_seqs`, `answer_tokens`, `answer_spread` or `prompt_tokens`
    warning: nothing from `127.0.0.1-9` at http://127.0.0.1:9/metrics: Connection refused (os error 111)
    ");
}
