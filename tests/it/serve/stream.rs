//! What a program is told that asks by hand.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::Served;
use crate::up::scene::{kill, until};
use crate::up::small::{self, YAML};

/// The stream of events, as a browser reads it.
struct Stream {
    lines: BufReader<TcpStream>,
    /// The state so far, and how often changes were told.
    state: Value,
    changes: usize,
}

impl Stream {
    fn open(served: &Served) -> Self {
        let mut stream = served.connect();
        let limit = Some(Duration::from_mins(1));
        stream.set_read_timeout(limit).unwrap();
        let request = "GET /events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        Self {
            lines: BufReader::new(stream),
            state: Value::Null,
            changes: 0,
        }
    }

    /// Reads on until the state or a line of the log is so.
    fn until(&mut self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let mut current = String::new();
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "it ended");
            if let Some(event) = line.strip_prefix("event: ") {
                event.trim_end().clone_into(&mut current);
            } else if let Some(data) = line.strip_prefix("data: ") {
                let told = self.take(&current, data);
                if name == if current == "event" { "event" } else { "state" } && is_so(&told) {
                    return told;
                }
            }
        }
    }
}

impl Stream {
    /// What an event says: a line of the log, or the state as it is now.
    fn take(&mut self, name: &str, data: &str) -> Value {
        let value: Value = serde_json::from_str(data).unwrap();
        match name {
            "event" => return value,
            "state" => {
                assert!(self.state.is_null(), "it is told as a whole once");
                self.state = value;
            }
            "change" => {
                self.changes += 1;
                for change in value.as_array().unwrap() {
                    let mut path = String::new();
                    for key in change[0].as_array().unwrap() {
                        path.push('/');
                        path.push_str(key.to_string().trim_matches('"'));
                    }
                    let told = self.state.pointer_mut(&path).unwrap();
                    assert_ne!(*told, change[1], "{path} is told again");
                    *told = change[1].clone();
                }
            }
            other => panic!("{other}"),
        }
        self.state.clone()
    }
}

/// What did not change is not told again; and what a program has put together is what is there.
fn is_told_in_changes(served: &Served, browsers: &mut [Stream; 2]) {
    for browser in &*browsers {
        assert!(browser.changes > 0);
    }
    until("the same state", || {
        let told = browsers[1].until("state", |_| true);
        (told == served.state()).then_some(())
    });
}

#[test]
fn a_run_is_told_as_it_goes_and_nobody_else_may_ask() {
    let scene = small::scene("slow", 400);
    let none = scene.expect(2, &["serve"]);
    assert!(
        none.err.starts_with("error: there is no run in `"),
        "{}",
        none.err
    );
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("a result", || (scene.results("out") > 0).then_some(()));
    let served = Served::start(&scene);

    let (head, page) = served.get("/");
    let lower = head.to_lowercase();
    assert!(lower.contains("content-security-policy: default-src 'none'; style-src 'sha256-"));
    assert!(!lower.contains("access-control"), "{head}");
    assert!(page.contains("<title>toolorch</title>"), "{page}");
    let state = served.state();
    assert_eq!(state["format"], 1);
    assert!(state["name"].as_str().unwrap().starts_with("small-1-"));
    assert_eq!(state["status"]["groups"][0]["units"][0]["phase"], "ready");
    for (method, path, host, code) in [
        ("GET", "/state", "127.0.0.1:1", 200),
        ("GET", "/state", "evil.example", 403),
        ("GET", "/events", "evil.example", 403),
        ("GET", "/", "evil.example", 403),
        ("GET", "/journal", "localhost", 404),
        ("POST", "/state", "localhost", 405),
        ("HEAD", "/", "localhost", 405),
        ("OPTIONS", "/state", "localhost", 405),
        ("DELETE", "/", "localhost", 405),
    ] {
        let (head, body) = served.ask(method, path, host);
        let start = format!("HTTP/1.1 {code} ");
        assert!(head.starts_with(&start), "{method} {path} {host}: {head}");
        let told = body.contains("small-1-");
        assert_eq!(told, code == 200, "{method} {path} {host}: {body}");
    }

    let request = "GET /state HTTP/1.1\\r\\nhost: localhost\\r\\nconnection: close\\r\\n\\r\\n";
    // Who may not look is told so before anything is asked.
    for (user, request, code, words) in [
        ("0", request, 200, "small-1-"),
        (
            "65534",
            "",
            403,
            "only the user who started this, and root, may look",
        ),
    ] {
        let ask = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{}; printf '{request}' >&3; cat <&3",
            served.port
        );
        let said = Command::new("setpriv")
            .args(["--reuid", user, "--clear-groups", "bash", "-c", &ask])
            .output()
            .unwrap();
        let answer = String::from_utf8(said.stdout).unwrap();
        let start = format!("HTTP/1.1 {code} ");
        assert!(
            answer.starts_with(&start) && answer.contains(words),
            "{user}: {answer}"
        );
    }

    // Two browsers see the same: a server dies and is ready again.
    let mut browsers = [Stream::open(&served), Stream::open(&served)];
    let unit = |state: &Value| state["status"]["groups"][0]["units"][0].clone();
    for browser in &mut browsers {
        browser.until("state", |state| unit(state)["generation"] == 1);
    }
    let pid = small::server(&scene).as_u64().unwrap();
    kill(u32::try_from(pid).unwrap(), Signal::KILL);
    for browser in &mut browsers {
        let line = browser.until("event", |line| {
            line["text"].as_str().unwrap().starts_with("chat-0 ended")
        });
        assert_eq!(line["loud"], true, "{line}");
        browser.until("state", |state| {
            unit(state)["generation"] == 2 && unit(state)["phase"] == "ready"
        });
    }

    is_told_in_changes(&served, &mut browsers);

    // The run ends, and is still shown; so it is to one that comes late.
    scene.expect(0, &["down", YAML]);
    up.end();
    let over = |state: &Value| state["status"]["phase"] == "ended";
    browsers[0].until("state", over);
    let late = Stream::open(&served).until("state", over);
    assert!(late["headline"].as_str().unwrap().starts_with("taken down"));

    served.going.signal(Signal::INT);
    let said = served.going.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.err.contains("for you alone, on this machine"),
        "{}",
        said.err
    );
    scene.assert_nothing_left();
}

#[test]
fn a_port_that_is_taken_is_named_and_a_damaged_journal_is_not_the_present() {
    let scene = small::scene("plain", 2);
    scene.expect(0, &["up", YAML]);
    let served = Served::start(&scene);
    let port = served.port.to_string();
    let said = scene.expect(3, &["serve", YAML, "--port", &port]);
    let expected = format!(
        "error: cannot listen at 127.0.0.1:{port}: Address already in use (os error 98)\n\
         help: without `--port` a free one is taken\n"
    );
    assert_eq!(said.err, expected);

    let journal = "home/runs/small/1/journal.1.jsonl";
    let good = scene.read(journal);
    scene.write(journal, &format!("{good}not a line\n"));
    let trouble = |state: Value| state["trouble"].as_str().map(str::to_owned);
    let why = until("trouble", || trouble(served.state()));
    assert!(why.contains("damaged"), "{why}");
    scene.write(journal, &good);
    until("no trouble", || {
        trouble(served.state()).is_none().then_some(())
    });
    assert_eq!(
        served.state()["headline"].as_str().unwrap()[..29],
        *"ended with exit code 0 (done)"
    );

    served.going.signal(Signal::TERM);
    assert_eq!(served.going.end().code, 0);
}
