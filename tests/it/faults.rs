//! What goes wrong with a simulated server when it is told to over HTTP.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use toolorch::knowledge::failures;
use toolorch::sim::{Act, Happens as _};

use crate::sim::{Server, free_port, question, vllm};

/// A server with its log in a folder of its own.
struct Told {
    server: Server,
    folder: tempfile::TempDir,
    port: u16,
}

impl Told {
    fn start(more: &[(&str, &str)]) -> Self {
        Self::at(tempfile::tempdir().unwrap(), free_port(), more)
    }

    /// Starts, and waits until it is ready or has ended.
    fn at(folder: tempfile::TempDir, port: u16, more: &[(&str, &str)]) -> Self {
        let log = File::create(folder.path().join("log")).unwrap();
        let args = [
            "serve",
            "m",
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
        ];
        let child = vllm(&args)
            .env("TOOLORCH_SIM_NEXT_START", folder.path().join("next"))
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .unwrap();
        let base = format!("http://127.0.0.1:{port}");
        let server = Server { child, base };
        let mut told = Self {
            server,
            folder,
            port,
        };
        told.until(|told| {
            let ended = told.server.child.try_wait().unwrap().is_some();
            ended || told.log().contains("Application startup complete.")
        });
        told
    }

    /// The same place, started again after its end.
    fn again(mut self) -> Self {
        self.code();
        let empty = tempfile::tempdir().unwrap();
        let folder = std::mem::replace(&mut self.folder, empty);
        Self::at(folder, self.port, &[])
    }

    #[track_caller]
    fn until(&mut self, mut so: impl FnMut(&mut Self) -> bool) {
        let began = Instant::now();
        while !so(self) {
            assert!(began.elapsed() < Duration::from_mins(1), "{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path()).unwrap()).into_owned()
    }

    /// Waits for its end.
    fn code(&mut self) -> Option<i32> {
        self.server.child.wait().unwrap().code()
    }

    fn tell(&self, wish: &Value) -> (u16, String) {
        tell(&self.server, wish)
    }

    fn ask(&self) -> u16 {
        let body = question("m", "hi").to_string();
        let path = "/v1/chat/completions";
        self.server.send(Method::POST, path, Some(body)).0
    }

    fn heal(&self) {
        let said = self.server.send(Method::DELETE, "/sim/fault", None);
        assert_eq!(said.0, 200, "{}", said.1);
        assert_eq!(self.ask(), 200);
    }

    /// Whether nothing at all comes back for this path within a while, not even an end.
    fn is_silent(&self, path: &str) -> bool {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let patience = Duration::from_millis(300);
        stream.set_read_timeout(Some(patience)).unwrap();
        matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

fn tell(server: &Server, wish: &Value) -> (u16, String) {
    server.send(Method::POST, "/sim/fault", Some(wish.to_string()))
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().len()
}

#[test]
fn requests_suffer_until_it_is_ended() {
    let told = Told::start(&[]);
    assert_eq!(told.ask(), 200);
    let mut said = Vec::new();
    let mut begin = |kind: &str| said.push(told.tell(&json!({"kind": kind, "for_ms": 600_000})).1);
    begin("error");
    assert_eq!(told.ask(), 500);
    told.heal();
    begin("busy");
    assert_eq!(told.ask(), 429);
    told.heal();
    begin("wrong-model");
    assert_eq!(told.ask(), 404);
    told.heal();
    begin("hang");
    assert!(told.is_silent("/v1/completions"));
    let page = told.server.get("/metrics");
    for path in ["/health", "/v1/models"] {
        assert!(!told.is_silent(path), "{path}");
    }
    assert_eq!(told.server.get("/metrics"), page, "counters stand still");
    told.heal();
    begin("half-open");
    for path in ["/health", "/metrics", "/v1/models", "/nowhere"] {
        assert!(told.is_silent(path), "{path}");
    }
    told.heal();
    begin("reset");
    let mut stream = TcpStream::connect(("127.0.0.1", told.port)).unwrap();
    let request = "GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    // Whether the end is an error depends on what of it arrived first; the answer is not whole either way.
    let _ = stream.read_to_string(&mut text);
    assert!(!text.ends_with("0\r\n\r\n"), "{text}");
    told.heal();
    begin("slow");
    let began = Instant::now();
    assert_eq!(told.ask(), 200);
    assert!(began.elapsed() >= Duration::from_secs(5));
    insta::assert_snapshot!(said.join("\n"), @r#"
    {"done":"error for 10m"}
    {"done":"busy for 10m"}
    {"done":"wrong-model for 10m"}
    {"done":"hang for 10m"}
    {"done":"half-open for 10m"}
    {"done":"reset for 10m"}
    {"done":"slow for 10m"}
    "#);
    let (_, metrics) = told.server.get("/metrics");
    assert!(!metrics.contains("/sim/"), "it is none of vLLM's routes");
    assert!(!told.log().contains("/sim/"));
}

#[test]
fn the_help_has_every_kind() {
    let help = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_toolorch"));
        let output = command.arg("sim").args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = help(&["fault", "--help"]);
    let words: Vec<&str> = text.split([' ', ',', '\n']).collect();
    let missing: Vec<&str> = Act::names()
        .into_iter()
        .filter(|name| !words.contains(name))
        .collect();
    assert_eq!(missing, [] as [&str; 0], "{text}");
    assert!(help(&["--help"]).contains("toolorch sim vllm serve MODEL"));
}

#[test]
fn a_fault_by_hand_ends_by_itself() {
    let told = Told::start(&[]);
    told.tell(&json!({"kind": "busy", "for_ms": 300}));
    let began = Instant::now();
    while told.ask() == 429 {
        assert!(began.elapsed() < Duration::from_secs(30));
    }
    assert!(began.elapsed() >= Duration::from_millis(250));
}

#[test]
fn what_cannot_be_done_is_refused() {
    let told = Told::start(&[]);
    let said = [
        json!({"kind": "sleep"}),
        json!({"kind": "crash", "for_ms": 5}),
        json!({"kind": "hang", "for": "5s"}),
        json!("hang"),
    ]
    .map(|wish| told.tell(&wish))
    .map(|(status, text)| format!("{status} {text}"));
    insta::assert_snapshot!(said.join("\n"), @r#"
    400 {"refused":"`sleep` is no fault; there are crash, engine, hang, slow, error, busy, reset, wrong-model, half-open, escapes, flood, oom, port-taken"}
    400 {"refused":"`crash` is a moment and has no length"}
    400 {"refused":"unknown field `for`, expected `kind` or `for_ms` at line 1 column 20"}
    400 {"refused":"invalid type: string \"hang\", expected struct Wish at line 1 column 6"}
    "#);
    assert_eq!(told.server.get("/sim/fault").0, 405);
    assert_eq!(told.ask(), 200);
}

#[test]
fn a_server_is_told_to_end() {
    for (kind, code) in [("crash", 1), ("engine", 0)] {
        let mut told = Told::start(&[]);
        assert_eq!(told.tell(&json!({"kind": kind})).0, 200, "{kind}");
        assert_eq!(told.code(), Some(code), "{kind}");
    }
}

#[test]
fn the_log_has_what_a_terminal_would_obey() {
    let mut told = Told::start(&[]);
    told.tell(&json!({"kind": "escapes"}));
    told.until(|told| told.log().contains("a picture"));
    told.heal();
    let bytes = std::fs::read(told.path()).unwrap();
    for part in [
        &b"\x1b]0;"[..],
        b"\x1b[2J",
        b"\x1b]52;c;",
        b"\x9b2J",
        b"\xc2\x9b2J",
        b"\xe2\x80\xae",
    ] {
        assert!(
            bytes.windows(part.len()).any(|found| found == part),
            "{part:?}"
        );
    }
}

#[test]
fn a_flood_comes_and_goes() {
    let mut told = Told::start(&[]);
    let said = told.tell(&json!({"kind": "flood"}));
    assert_eq!(said.1, r#"{"done":"flood for 2s"}"#);
    let path = told.path();
    told.until(|_| size(&path) > 5 << 20);
    assert_eq!(told.ask(), 200, "it serves all the while");
    told.heal();
    let before = size(&path);
    assert_eq!(told.ask(), 200);
    let after = size(&path);
    assert!(after < before + (1 << 20), "{before} {after}");
}

/// What the knowledge of failures makes of a log.
fn cause(log: &str) -> &'static str {
    failures::classify(log.lines()).map_or("none", |found| found.failure.id)
}

#[test]
fn a_server_runs_out_of_memory_at_its_next_start_alone() {
    let told = Told::start(&[]);
    let said = told.tell(&json!({"kind": "oom"}));
    assert_eq!(
        said,
        (200, r#"{"done":"oom at its next start"}"#.to_owned())
    );
    assert_eq!(told.ask(), 200, "this one goes on");
    told.tell(&json!({"kind": "crash"}));
    let mut second = told.again();
    assert_eq!(second.code(), Some(1));
    assert_eq!(cause(&second.log()), "cuda-oom", "{}", second.log());
    let third = second.again();
    assert_eq!(third.ask(), 200);
}

#[test]
fn a_timeline_lets_every_start_run_out_of_memory() {
    let mut told = Told::start(&[("TOOLORCH_SIM_FAULTS", "start oom")]);
    assert_eq!(told.code(), Some(1));
    let log = told.log();
    let (before, after) = log.split_once("EngineCore failed to start.").unwrap();
    assert!(before.contains("Starting to load model"), "{log}");
    assert!(!after.contains("Application startup complete."), "{log}");
    assert_eq!(cause(&log), "cuda-oom");
}

#[test]
fn an_outsider_takes_the_port_for_a_while() {
    let mut told = Told::start(&[]);
    told.tell(&json!({"kind": "port-taken", "for_ms": 3000}));
    assert_eq!(told.code(), Some(1));
    let began = Instant::now();
    let mut next = told.again();
    let mut refused = 0;
    while next.server.child.try_wait().unwrap().is_some() {
        let log = next.log();
        assert!(log.contains("Address already in use"), "{log}");
        assert!(began.elapsed() < Duration::from_secs(30));
        refused += 1;
        next = next.again();
    }
    assert!(refused > 0);
    assert_eq!(next.ask(), 200);
    assert!(began.elapsed() >= Duration::from_secs(2));
}

#[test]
fn of_servers_that_share_a_process_one_can_end() {
    let first = free_port();
    let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = (first..first + 200)
        .find(|&port| free(port) && free(port + 1))
        .unwrap();
    let line = format!("sim host 2 vllm serve m --host 127.0.0.1 --port {first}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_toolorch"));
    let command = command.args(line.split(' ')).stderr(Stdio::null());
    let mut server = Server {
        child: command.spawn().unwrap(),
        base: String::new(),
    };
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", first + 1)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(10));
    }
    server.base = format!("http://127.0.0.1:{first}");
    let refused = ["oom", "flood"].map(|kind| tell(&server, &json!({"kind": kind})).1);
    insta::assert_snapshot!(refused.join("\n"), @r#"
    {"refused":"`oom` needs a process, and this server shares its own with others"}
    {"refused":"`flood` needs a process, and this server shares its own with others"}
    "#);
    tell(&server, &json!({"kind": "busy"}));
    assert_eq!(server.chat_status(), 429);
    assert_eq!(tell(&server, &json!({"kind": "crash"})).0, 200);
    while TcpStream::connect(("127.0.0.1", first)).is_ok() {
        assert!(began.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(10));
    }
    server.base = format!("http://127.0.0.1:{}", first + 1);
    assert_eq!(server.get("/health").0, 200);
}

impl Server {
    fn chat_status(&self) -> u16 {
        let body = question("m", "hi").to_string();
        self.send(Method::POST, "/v1/chat/completions", Some(body))
            .0
    }
}
