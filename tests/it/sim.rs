//! The simulated vLLM, driven as a program over HTTP.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails as the test does"
)]

mod answers;
mod releases;

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// The program, called as `toolorch sim vllm ARGS`, with nothing of the caller's environment that it reads.
pub(crate) fn vllm(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_toolorch"));
    command.args(["sim", "vllm"]).args(args);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("TOOLORCH_") || name.starts_with("VLLM_") {
            command.env_remove(name);
        }
    }
    command
        .env("TOOLORCH_SIM_STARTUP_MS", "0")
        .env("TOOLORCH_SIM_LATENCY_MS", "0");
    command
}

fn output(args: &[&str], release: &str) -> Output {
    vllm(args)
        .env("TOOLORCH_SIM_RELEASE", release)
        .output()
        .unwrap()
}

/// Exit code and stderr of a server that must not start.
fn refused(args: &[&str], release: &str) -> String {
    let output = output(args, release);
    format!(
        "{}\n{}",
        output.status.code().unwrap(),
        String::from_utf8(output.stderr).unwrap()
    )
}

/// Exit code, stdout and stderr of a server of 0.32 that must not start, at a port that is taken or free.
pub(crate) fn refused_at(args: &[&str], taken: bool) -> (i32, String, String) {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let _holder = taken.then_some(holder);
    let args = [&["serve"], args, &["--host", "127.0.0.1", "--port", &port]].concat();
    exit(&output(&args, "0.32.0"))
}

fn exit(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// One client for all: making one takes longer than a test. It keeps no connection, since each request has its own runtime.
static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    let builder = reqwest::Client::builder().no_proxy();
    builder.pool_max_idle_per_host(0).build().unwrap()
});

/// A running server; killed when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) base: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    pub(crate) fn start(args: &[&str], release: &str) -> Self {
        Self::start_with(args, release, &[])
    }

    /// The same with more variables.
    pub(crate) fn start_with(args: &[&str], release: &str, more: &[(&str, &str)]) -> Self {
        let port = free_port();
        let text = port.to_string();
        let mut command =
            vllm(&[&["serve"], args, &["--host", "127.0.0.1", "--port", &text]].concat());
        command
            .env("TOOLORCH_SIM_RELEASE", release)
            .envs(more.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ready = lines.any(|line| line.unwrap().ends_with("Application startup complete."));
        assert!(ready, "{args:?} did not start");
        // The rest of stderr is drained, so that the server never waits for its reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            base: format!("http://127.0.0.1:{port}"),
        }
    }

    pub(crate) fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<String>,
    ) -> (u16, String) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut request = CLIENT.request(method, format!("{}{path}", self.base));
            if let Some(body) = body {
                request = request.body(body);
            }
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        })
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.send(reqwest::Method::GET, path, None)
    }

    pub(crate) fn chat(&self, body: &Value) -> (u16, Value) {
        let (status, text) = self.send(
            reqwest::Method::POST,
            "/v1/chat/completions",
            Some(body.to_string()),
        );
        (status, serde_json::from_str(&text).unwrap())
    }

    /// The lines of `/metrics` that start with `name`, their values as text.
    fn values(&self, name: &str) -> Vec<String> {
        let (_, text) = self.get("/metrics");
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().to_owned())
            .collect()
    }

    /// A counter or gauge, summed over its labels.
    fn metric(&self, name: &str) -> u64 {
        let whole = |value: &String| value.strip_suffix(".0").unwrap().parse::<u64>().unwrap();
        self.values(name).iter().map(whole).sum()
    }
}

/// What a server writes until it is ready, by lines: stdout, then stderr.
pub(crate) fn start_up(args: &[&str], release: &str) -> (Vec<String>, Vec<String>) {
    let port = free_port().to_string();
    let mut command = vllm(&[&["serve"], args, &["--host", "127.0.0.1", "--port", &port]].concat());
    command
        .env("TOOLORCH_SIM_RELEASE", release)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut err = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        let ready = line.ends_with("Application startup complete.");
        err.push(line);
        if ready {
            break;
        }
    }
    child.kill().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap()).lines();
    let out = out.map(Result::unwrap).collect();
    child.wait().unwrap();
    (out, err)
}

const HERMES: &[&str] = &["--enable-auto-tool-choice", "--tool-call-parser", "hermes"];

pub(crate) fn question(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

fn with_tools(mut body: Value) -> Value {
    body["tools"] = json!([{"type": "function", "function": {"name": "search", "parameters":
        {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}}}]);
    body
}

#[test]
fn what_vllm_refuses_is_refused_in_its_words() {
    let all = [
        refused(&["serve", "m", "--chat-template-kwargs", "{}"], "0.12.0"),
        refused(&["serve", "m", "--disable-log-requests"], "0.32.0"),
        refused(&["serve", "m", "--port", "http"], "0.12.0"),
        refused(&["serve", "m", "--enable-auto-tool-choice"], "0.12.0"),
        refused(
            &[
                "serve",
                "m",
                "--enable-auto-tool-choice",
                "--tool-call-parser",
                "openai",
            ],
            "0.9.2",
        ),
        refused(
            &["serve", "/models/nope", "--port", &free_port().to_string()],
            "0.12.0",
        ),
        refused(&["train"], "0.12.0"),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    2
    usage: vllm [-h] [-v] {chat,complete,serve,bench,collect-env,run-batch} ...
    vllm: error: unrecognized arguments: --chat-template-kwargs {}

    2
    usage: vllm [-h] [-v]
                {chat,complete,serve,launch,bench,collect-env,download-kernels,preload,run-batch,snapshot}
                ...
    vllm: error: unrecognized arguments: --disable-log-requests

    2
    usage: vllm serve [model_tag] [options]
    vllm serve: error: argument --port: invalid int value: 'http'

    1
    Traceback (most recent call last):
      ...
    TypeError: Error: --enable-auto-tool-choice requires --tool-call-parser

    1
    Traceback (most recent call last):
      ...
    KeyError: 'invalid tool call parser: openai (chose from { deepseek_v3,granite,granite-20b-fc,hermes,internlm,jamba,llama3_json,llama4_json,llama4_pythonic,minimax,mistral,phi4_mini_json,pythonic,xlam })'

    1
    Traceback (most recent call last):
      ...
    huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or 'namespace/repo_name': '/models/nope'. Use `repo_type` argument if needed.

    2
    usage: vllm [-h] [-v] {chat,complete,serve,bench,collect-env,run-batch} ...
    vllm: error: argument subparser: invalid choice: 'train' (choose from 'chat', 'complete', 'serve', 'bench', 'collect-env', 'run-batch')
    ");
}

#[test]
fn a_taken_port_is_refused_before_the_model_is_looked_at() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let text = refused(
        &[
            "serve",
            "/models/nope",
            "--host",
            "127.0.0.1",
            "--port",
            &port,
        ],
        "0.12.0",
    );
    assert_eq!(
        text,
        "1\nTraceback (most recent call last):\n  ...\nOSError: [Errno 98] Address already in use\n"
    );
}

#[test]
fn a_length_over_the_models_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"model_type": "qwen3", "max_position_embeddings": 2048});
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let model = folder.path().to_str().unwrap();
    let port = free_port().to_string();
    let text = refused(
        &[
            "serve",
            model,
            "--max-model-len",
            "99999",
            "--host",
            "127.0.0.1",
            "--port",
            &port,
        ],
        "0.12.0",
    );
    assert!(text.starts_with("1\n"), "{text}");
    assert!(
        text.contains(
            "User-specified max_model_len (99999) is greater than the derived max_model_len"
        ),
        "{text}"
    );
}

#[test]
fn it_is_vllm_when_called_by_that_name() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("vllm");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_toolorch"), &name).unwrap();
    let output = Command::new(&name)
        .arg("--version")
        .env("TOOLORCH_SIM_RELEASE", "0.11.2")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0.11.2\n");
}

#[test]
fn the_probes_are_answered() {
    let model = "Qwen/Qwen3-8B";
    let server = Server::start(
        &[
            model,
            "--served-model-name",
            "first",
            "second",
            "--max-model-len",
            "2k",
        ],
        "0.32.0",
    );
    assert_eq!(server.get("/health"), (200, String::new()));
    assert_eq!(server.get("/ping"), (200, String::new()));
    assert_eq!(
        server.get("/version"),
        (200, r#"{"version":"0.32.0"}"#.to_owned())
    );
    assert_eq!(
        server.get("/server_info"),
        (404, r#"{"detail":"Not Found"}"#.to_owned())
    );
    let models: Value = serde_json::from_str(&server.get("/v1/models").1).unwrap();
    let shown: Vec<_> = models["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (&m["id"], &m["root"], &m["max_model_len"]))
        .collect();
    assert_eq!(
        shown,
        [
            (&json!("first"), &json!(model), &json!(2000)),
            (&json!("second"), &json!(model), &json!(2000))
        ]
    );
}

#[test]
fn a_sum_is_answered_and_counted() {
    let server = Server::start(&["Qwen/Qwen2.5-7B-Instruct"], "0.12.0");
    let (status, body) = server.chat(&question("Qwen/Qwen2.5-7B-Instruct", "What is 12 + 30?"));
    let choice = &body["choices"][0];
    assert_eq!(
        (
            status,
            &choice["message"]["content"],
            &choice["finish_reason"]
        ),
        (
            200,
            &json!("12 + 30 = 42. The answer is \\boxed{42}."),
            &json!("stop")
        )
    );
    let mut short = question("Qwen/Qwen2.5-7B-Instruct", "What is 12 + 30?");
    short["max_tokens"] = json!(1);
    let (_, cut) = server.chat(&short);
    assert_eq!(
        (
            &cut["choices"][0]["finish_reason"],
            &cut["usage"]["completion_tokens"]
        ),
        (&json!("length"), &json!(1))
    );
    let tokens =
        |key: &str| body["usage"][key].as_u64().unwrap() + cut["usage"][key].as_u64().unwrap();
    assert_eq!(
        server.metric("vllm:prompt_tokens_total"),
        tokens("prompt_tokens")
    );
    assert_eq!(
        server.metric("vllm:generation_tokens_total"),
        tokens("completion_tokens")
    );
    assert_eq!(server.metric("vllm:request_success_total"), 2);
    assert_eq!(server.metric("vllm:e2e_request_latency_seconds_count"), 2);
    assert_eq!(server.metric("vllm:num_requests_running"), 0);
}

#[test]
fn tools_go_by_parser_family_and_release() {
    let cases = [
        ("Qwen/Qwen3-8B", "hermes", "0.12.0", 200, "tool_calls"),
        ("openai/gpt-oss-20b", "openai", "0.12.0", 200, "tool_calls"),
        ("openai/gpt-oss-20b", "hermes", "0.12.0", 500, ""),
        ("openai/gpt-oss-20b", "hermes", "0.32.0", 200, "tool_calls"),
        ("Qwen/Qwen3-8B", "openai", "0.12.0", 500, ""),
        (
            "Qwen/Qwen3-Coder-30B-A3B-Instruct",
            "hermes",
            "0.12.0",
            200,
            "stop",
        ),
        (
            "Qwen/Qwen3-Coder-30B-A3B-Instruct",
            "qwen3_coder",
            "0.12.0",
            200,
            "tool_calls",
        ),
    ];
    for (model, parser, release, status, finish) in cases {
        let server = Server::start(
            &[
                model,
                "--enable-auto-tool-choice",
                "--tool-call-parser",
                parser,
            ],
            release,
        );
        let (found, body) = server.chat(&with_tools(question(model, "Use the tool search.")));
        assert_eq!(
            (
                found,
                body["choices"][0]["finish_reason"]
                    .as_str()
                    .unwrap_or_default()
            ),
            (status, finish),
            "{model} {parser} {release}: {body}"
        );
        if finish == "tool_calls" {
            let call = &body["choices"][0]["message"]["tool_calls"][0]["function"];
            assert_eq!(
                (&call["name"], &call["arguments"]),
                (
                    &json!("search"),
                    &json!(r#"{"query":"Use the tool search."}"#)
                )
            );
        }
    }
}

#[test]
fn bad_requests_are_refused_in_vllms_words() {
    let args = ["Qwen/Qwen3-8B", "--max-model-len", "64"];
    let old = Server::start(&args, "0.12.0");
    let new = Server::start(&args, "0.32.0");
    let mut said = Vec::new();
    for server in [&old, &new] {
        let long = question("Qwen/Qwen3-8B", &"word ".repeat(100));
        for body in [
            question("nope", "Hi"),
            with_tools(question("Qwen/Qwen3-8B", "Hi")),
            long,
            json!({"model": "Qwen/Qwen3-8B"}),
        ] {
            let (status, body) = server.chat(&body);
            let [kind, message] =
                ["type", "message"].map(|key| body["error"][key].as_str().unwrap());
            said.push(format!("{status} {kind}: {message}"));
        }
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    404 NotFoundError: The model `nope` does not exist.
    400 BadRequestError: "auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set
    400 BadRequestError: This model's maximum context length is 64 tokens. However, your request has 109 input tokens. Please reduce the length of the input messages. None
    400 Bad Request: 1 validation error:
      {'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required', 'input': {}}
    404 NotFoundError: The model `nope` does not exist. Valid aliases: Qwen/Qwen3-8B.
    400 BadRequestError: "auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set
    400 BadRequestError: This model's maximum context length is 64 tokens. However, your prompt contains at least 65 input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=65)
    400 Bad Request: 1 validation error:
      {'type': 'missing', 'loc': 'body.messages', 'msg': 'Field required', 'input': '<dict of 1 items>'}
    "#);
    let broken = old.send(
        reqwest::Method::POST,
        "/v1/chat/completions",
        Some("{".to_owned()),
    );
    assert!(
        broken.0 == 400 && broken.1.contains("'json_invalid'"),
        "{broken:?}"
    );
}

#[test]
fn thinking_is_shown_where_the_release_shows_it() {
    let model = "Qwen/Qwen3-8B";
    let message = |server: &Server, off: bool| {
        let mut body = question(model, "What is 1 + 1?");
        if off {
            body["chat_template_kwargs"] = json!({"enable_thinking": false});
        }
        server.chat(&body).1["choices"][0]["message"].clone()
    };
    let bare = Server::start(&[model], "0.12.0");
    assert!(
        message(&bare, false)["content"]
            .as_str()
            .unwrap()
            .starts_with("<think>\n")
    );
    assert_eq!(
        message(&bare, true)["content"],
        "1 + 1 = 2. The answer is \\boxed{2}."
    );
    for (release, field) in [("0.10.2", "reasoning_content"), ("0.12.0", "reasoning")] {
        let parsed = Server::start(&[model, "--reasoning-parser", "qwen3"], release);
        assert!(
            message(&parsed, false)[field]
                .as_str()
                .unwrap()
                .contains("That is 2"),
            "{release}"
        );
        assert_eq!(message(&parsed, true)[field], Value::Null, "{release}");
    }
    let kwargs = r#"{"enable_thinking": false}"#;
    let switched = Server::start(&[model, "--default-chat-template-kwargs", kwargs], "0.14.1");
    assert_eq!(
        message(&switched, false)["content"],
        "1 + 1 = 2. The answer is \\boxed{2}."
    );
}

#[test]
fn a_stream_carries_the_call_the_usage_and_the_end() {
    let model = "Qwen/Qwen3-8B";
    let server = Server::start(
        &[&[model], HERMES, &["--reasoning-parser", "qwen3"]].concat(),
        "0.12.0",
    );
    let mut body = with_tools(question(model, "What is 2 + 2?"));
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let (status, text) = server.send(
        reqwest::Method::POST,
        "/v1/chat/completions",
        Some(body.to_string()),
    );
    assert_eq!(status, 200);
    let frames: Vec<&str> = text
        .split("\n\n")
        .filter_map(|frame| frame.strip_prefix("data: "))
        .collect();
    assert_eq!(frames.last(), Some(&"[DONE]"));
    let chunks: Vec<Value> = frames[..frames.len() - 1]
        .iter()
        .map(|frame| serde_json::from_str(frame).unwrap())
        .collect();
    let deltas = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]);
    let arguments: String = deltas
        .filter_map(|delta| delta["tool_calls"][0]["function"]["arguments"].as_str())
        .collect();
    assert_eq!(arguments, r#"{"query":"What is 2 + 2?"}"#);
    let usage = &chunks.last().unwrap()["usage"];
    assert_eq!(
        server.metric("vllm:generation_tokens_total"),
        usage["completion_tokens"].as_u64().unwrap()
    );
    let finish = &chunks[chunks.len() - 2]["choices"][0]["finish_reason"];
    assert_eq!(finish, "tool_calls");
}

#[test]
fn keys_are_asked_for_on_the_api_alone() {
    let server = Server::start(&["m", "--api-key", "secret"], "0.12.0");
    assert_eq!(server.get("/health").0, 200);
    assert_eq!(
        server.get("/v1/models"),
        (401, r#"{"error":"Unauthorized"}"#.to_owned())
    );
}

#[test]
fn requests_beyond_the_batch_wait() {
    let port = free_port().to_string();
    let mut command = vllm(&[
        "serve",
        "m",
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--max-num-seqs",
        "1",
    ]);
    let child = command
        .env("TOOLORCH_SIM_LATENCY_MS", "150")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server {
        child,
        base: format!("http://127.0.0.1:{port}"),
    };
    let until = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        assert!(Instant::now() < until, "the server never listened");
        std::thread::yield_now();
    }
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(server.chat(&question("m", "Hi")).0, 200));
        }
    });
    // One at a time, however late they came; and somebody had to wait.
    assert!(
        began.elapsed() >= Duration::from_millis(900),
        "{:?}",
        began.elapsed()
    );
    let waited = server.values("vllm:request_queue_time_seconds_sum")[0]
        .parse::<f64>()
        .unwrap();
    assert!(waited > 0.1, "{waited}");
}

#[test]
fn it_ends_at_once_when_asked() {
    let mut server = Server::start(&["m"], "0.12.0");
    let pid = rustix::process::Pid::from_raw(i32::try_from(server.child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_log_is_vllms_on_both_streams() {
    let port = free_port().to_string();
    let mut command = vllm(
        &[
            &["serve", "m", "--host", "127.0.0.1", "--port", &port],
            HERMES,
        ]
        .concat(),
    );
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    stderr.find(|line| {
        line.as_ref()
            .unwrap()
            .ends_with("Application startup complete.")
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let mut text = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    insta::with_settings!({filters => vec![
        (r"pid=\d+", "pid=PID"), (port.as_str(), "PORT"), (r"\d\d-\d\d \d\d:\d\d:\d\d", "TIME"), (r"\.py:\d+", ".py:N")
    ]}, {
        insta::assert_snapshot!(text, @r#"
        (APIServer pid=PID) INFO TIME [api_server.py:N] vLLM API server version 0.12.0
        (APIServer pid=PID) INFO TIME [utils.py:N] non-default args: {'model_tag': 'm', 'enable_auto_tool_choice': True, 'host': '127.0.0.1', 'port': PORT, 'tool_call_parser': 'hermes'}
        (APIServer pid=PID) INFO TIME [model.py:N] Resolved architecture: Qwen3ForCausalLM
        (APIServer pid=PID) INFO TIME [model.py:N] Using max model len 32768
        (EngineCore_DP0 pid=PID) INFO TIME [core.py:N] Initializing a V1 LLM engine (v0.12.0) with config: model='m'
        (EngineCore_DP0 pid=PID) INFO TIME [gpu_model_runner.py:N] Starting to load model m...
        (EngineCore_DP0 pid=PID) INFO TIME [default_loader.py:N] Loading weights took 0.10 seconds
        (EngineCore_DP0 pid=PID) INFO TIME [gpu_model_runner.py:N] Model loading took 1.0000 GiB memory and 0.200000 seconds
        (EngineCore_DP0 pid=PID) INFO TIME [kv_cache_utils.py:N] GPU KV cache size: 262,144 tokens
        (EngineCore_DP0 pid=PID) INFO TIME [kv_cache_utils.py:N] Maximum concurrency for 32,768 tokens per request: 8.00x
        (EngineCore_DP0 pid=PID) INFO TIME [core.py:N] init engine (profile, create kv cache, warmup model) took 0.10 seconds
        (APIServer pid=PID) INFO TIME [api_server.py:N] Supported tasks: ['generate']
        (APIServer pid=PID) INFO TIME [serving_chat.py:N] "auto" tool choice has been enabled.
        (APIServer pid=PID) INFO TIME [api_server.py:N] Starting vLLM API server 0 on http://127.0.0.1:PORT
        (APIServer pid=PID) INFO TIME [launcher.py:N] Available routes are:
        (APIServer pid=PID) INFO TIME [launcher.py:N] Route: /health, Methods: GET
        (APIServer pid=PID) INFO TIME [launcher.py:N] Route: /ping, Methods: GET, POST
        (APIServer pid=PID) INFO TIME [launcher.py:N] Route: /tokenize, Methods: POST
        (APIServer pid=PID) INFO TIME [launcher.py:N] Route: /v1/models, Methods: GET
        (APIServer pid=PID) INFO TIME [launcher.py:N] Route: /version, Methods: GET
        (APIServer pid=PID) INFO TIME [launcher.py:N] Route: /v1/chat/completions, Methods: POST
        (APIServer pid=PID) INFO TIME [launcher.py:N] Route: /v1/completions, Methods: POST
        (APIServer pid=PID) INFO TIME [launcher.py:N] Route: /metrics, Methods: GET
        "#);
    });
}

#[test]
fn copies_of_one_server_share_a_process() {
    let first = free_port();
    // Three free ports in a row: probed, because the system hands out single ones.
    let first = (first..first + 200)
        .find(|&port| (0..3).all(|n| TcpListener::bind(("127.0.0.1", port + n)).is_ok()))
        .unwrap();
    let port = first.to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_toolorch"));
    command.args([
        "sim",
        "host",
        "3",
        "vllm",
        "serve",
        "m",
        "--host",
        "127.0.0.1",
        "--port",
        &port,
    ]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().ends_with("3 servers listen"));
    let mut server = Server {
        child,
        base: String::new(),
    };
    for n in 0..3 {
        server.base = format!("http://127.0.0.1:{}", first + n);
        assert_eq!(server.get("/health").0, 200);
    }
}

#[tokio::test]
async fn a_thousand_servers_fit_in_one_process() {
    let before = resident_kib();
    let configs = (0..1000)
        .map(|n| toolorch::sim::SimConfig::new(&format!("org/model-{n}"), "127.0.0.1", 0))
        .collect();
    let hosted = toolorch::sim::host(configs).await.unwrap();
    assert_eq!(hosted.addresses.len(), 1000);
    for (n, address) in hosted.addresses.iter().enumerate().step_by(97) {
        let models: Value = CLIENT
            .get(format!("http://{address}/v1/models"))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(models["data"][0]["id"], json!(format!("org/model-{n}")));
    }
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 100_000, "{grown} KiB for 1,000 servers");
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// With rates requests are batched: what does not fit waits, and the counters say so.
#[test]
fn a_server_with_rates_batches_and_queues() {
    let rates = [
        ("TOOLORCH_SIM_PREFILL_RATE", "10000"),
        ("TOOLORCH_SIM_DECODE_RATE", "200"),
        // Slow enough that a busy machine sends all six while the first are computed.
        ("TOOLORCH_SIM_SPEED", "0.2"),
    ];
    let server = Server::start_with(&["m", "--max-num-seqs", "2"], "0.32.0", &rates);
    let seconds = |name: &str| -> f64 { server.values(name).concat().parse().unwrap() };
    server.chat(&question("m", "What is 3 + 4?"));
    let alone = seconds("vllm:e2e_request_latency_seconds_sum");
    // A token is 5 ms, and the answer has some ten.
    assert!(alone > 0.03, "{alone}");
    assert!(seconds("vllm:request_queue_time_seconds_sum") < alone / 2.0);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| server.chat(&question("m", "What is 3 + 4?")));
        }
    });
    assert_eq!(server.metric("vllm:e2e_request_latency_seconds_count"), 7);
    let queued = seconds("vllm:request_queue_time_seconds_sum");
    // Of six at once four wait, two of them twice as long.
    assert!(queued > 2.0 * alone, "{queued} {alone}");
    assert_eq!(server.metric("vllm:num_requests_running"), 0);
    assert_eq!(server.metric("vllm:num_preemptions_total"), 0);
}

#[test]
fn a_rate_of_nothing_is_refused() {
    let refused = |name: &str, value: &str| {
        let said = vllm(&["serve", "m"]).env(name, value).output().unwrap();
        assert_eq!(said.status.code(), Some(2));
        String::from_utf8(said.stderr).unwrap()
    };
    let all = [
        refused("TOOLORCH_SIM_DECODE_RATE", "0"),
        refused("TOOLORCH_SIM_BATCH_SLOWDOWN", "1.5"),
        refused("TOOLORCH_SIM_ANSWER_SPREAD", "wide"),
    ];
    insta::assert_snapshot!(all.concat(), @r"
    toolorch sim: `TOOLORCH_SIM_DECODE_RATE`: `0` is not a number above 0
    toolorch sim: `TOOLORCH_SIM_BATCH_SLOWDOWN`: `1.5` is not a number from 0 to 1
    toolorch sim: `TOOLORCH_SIM_ANSWER_SPREAD`: `wide` is not a number from 0 to 3
    ");
}

/// The living children of a process: (pid, session, command line).
fn children(parent: u32) -> Vec<(u32, u32, String)> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let ours = fields[1] == parent.to_string() && fields[0] != "Z";
        ours.then(|| (pid, fields[3].parse().unwrap(), line))
    })
    .collect()
}

fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits for the child's only child, which may be on its way.
fn only_child(parent: u32) -> (u32, u32, String) {
    loop {
        match children(parent).as_slice() {
            // Its title is there once it has begun to run.
            [(pid, session, line)] if line.starts_with("VLLM::") => {
                return (*pid, *session, line.clone());
            }
            _ => std::thread::sleep(std::time::Duration::from_millis(5)),
        }
    }
}

fn until_gone(pid: u32) {
    while alive(pid) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn an_engine_that_dies_takes_its_server_along() {
    let tree = [
        ("TOOLORCH_SIM_TREE", "1"),
        ("TOOLORCH_SIM_LATENCY_MS", "60000"),
    ];
    let mut server = Server::start_with(&["m"], "0.32.0", &tree);
    let (engine, _, line) = only_child(server.child.id());
    assert!(line.starts_with("VLLM::EngineCore "), "{line}");
    let (worker, _, line) = only_child(engine);
    assert!(line.starts_with("VLLM::Worker "), "{line}");
    while only_child(engine).1 != worker {
        std::thread::yield_now(); // a session of its own
    }
    assert_eq!(server.get("/health").0, 200);
    let (status, answer) = std::thread::scope(|scope| {
        let asked = scope.spawn(|| server.chat(&question("m", "hi")));
        while server.metric("vllm:num_requests_running") == 0 {
            std::thread::yield_now();
        }
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(i32::try_from(engine).unwrap()).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
        asked.join().unwrap()
    });
    assert_eq!(status, 500);
    assert_eq!(
        answer["error"]["message"],
        "EngineCore encountered an issue. See stack trace (above) for the root cause."
    );
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    until_gone(worker);
}

#[test]
fn a_server_that_is_asked_to_go_leaves_no_part() {
    let mut server = Server::start_with(&["m"], "0.32.0", &[("TOOLORCH_SIM_TREE", "1")]);
    let engine = only_child(server.child.id()).0;
    let worker = only_child(engine).0;
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(server.child.id()).unwrap()).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    until_gone(engine);
    until_gone(worker);
}

/// A server of 0.32 with this timeline.
fn faulty(timeline: &str) -> Server {
    Server::start_with(&["m"], "0.32.0", &[("TOOLORCH_SIM_FAULTS", timeline)])
}

#[test]
fn faults_come_and_go_as_the_timeline_says() {
    let busy = faulty("0s busy 2s");
    let ask = |server: &Server| {
        let body = question("m", "hi").to_string();
        server
            .send(reqwest::Method::POST, "/v1/chat/completions", Some(body))
            .0
    };
    assert_eq!(ask(&busy), 429);
    assert_eq!(busy.get("/health").0, 200, "it looks healthy");
    while ask(&busy) == 429 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(ask(&busy), 200);

    assert_eq!(ask(&faulty("0s error")), 500);
    let wrong = faulty("0s wrong-model");
    assert_eq!(ask(&wrong), 404);
    assert!(wrong.get("/v1/models").1.contains("somebody/another-model"));
}

#[test]
fn a_server_can_crash_and_an_engine_die_by_the_timeline() {
    let mut crash = faulty("100ms crash");
    assert_eq!(crash.child.wait().unwrap().code(), Some(1));
    let mut engine = faulty("100ms engine");
    assert_eq!(engine.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_server_whose_engine_hangs_completes_nothing_and_answers_the_rest() {
    let server = faulty("0s hang");
    for path in ["/health", "/v1/models", "/metrics"] {
        assert_eq!(server.get(path).0, 200, "{path}");
    }
    let address = server.base.trim_start_matches("http://").to_owned();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(
        &mut stream,
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
    )
    .unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_millis(300)))
        .unwrap();
    let error = std::io::Read::read(&mut stream, &mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}
