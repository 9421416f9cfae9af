//! Servers: what dies, hangs, comes late, is another's, or was never right.

use std::time::Instant;

use serde_json::Value;

use crate::scene::{Said, until};
use crate::single::Single;
use crate::small::YAML;
use crate::tally::{Fault, Tally};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: "D1",
        what: "a server ends while it loads: its last words, 4, nothing left",
        how: "a service that says why and exits with 7",
        tries: 5,
        quick: 1,
        run: ends_at_load,
    },
    Fault {
        id: "D2",
        what: "a server loads slowly: waited for, not started twice",
        how: "6 s of loading (`TOOLORCH_SIM_STARTUP_MS`)",
        tries: 2,
        quick: 1,
        run: slow_load,
    },
    Fault {
        id: "D3",
        what: "an outsider takes the port of a dead server: named, and waited for",
        how: "`toolorch sim fault chat-0 port-taken --for 1500ms`",
        tries: 3,
        quick: 1,
        run: port_taken,
    },
    Fault {
        id: "D4",
        what: "another model listens on our port: refused before anything starts",
        how: "a second simulator with another model",
        tries: 2,
        quick: 1,
        run: |tries, tally| stranger("Qwen/Qwen3-4B", tries, tally),
    },
    Fault {
        id: "D5",
        what: "the same model of somebody else listens on our port: refused",
        how: "a second simulator with the same model",
        tries: 2,
        quick: 1,
        run: |tries, tally| stranger("Qwen/Qwen3-8B", tries, tally),
    },
    Fault {
        id: "D6",
        what: "a server dies: started again on its host and port",
        how: "kill -9",
        tries: 15,
        quick: 2,
        run: dies,
    },
    Fault {
        id: "D7",
        what: "an engine hangs while HTTP is fine: noticed and started again",
        how: "`toolorch sim fault chat-0 hang`",
        tries: 3,
        quick: 1,
        run: hangs,
    },
    Fault {
        id: "D8",
        what: "engine and workers outlive their server: none is left before the next start",
        how: "a server of three processes, kill -9 of the first",
        tries: 5,
        quick: 1,
        run: orphans,
    },
    Fault {
        id: "D9",
        what: "a tool parser that does not fit: refused, or named by the probe",
        how: "`tool_parser` of another family",
        tries: 2,
        quick: 1,
        run: parser,
    },
    Fault {
        id: "D10",
        what: "the evaluation's prompt and answer do not fit the context: refused",
        how: "`context` of 80,034 tokens against 32,768",
        tries: 1,
        quick: 1,
        run: context,
    },
    Fault {
        id: "D14",
        what: "a service that the client needs is not there: the client is not started",
        how: "a retrieval service that ends at once",
        tries: 2,
        quick: 1,
        run: no_service,
    },
    Fault {
        id: "D15",
        what: "a cold start is paid by the warm-up, not by questions",
        how: "a service whose first five requests are slow, `warmup: 5`",
        tries: 2,
        quick: 1,
        run: cold_start,
    },
];

/// A call that must refuse with this code, these words, and no process.
fn refused(single: &Single, code: i32, words: &str, tally: &mut Tally) -> Said {
    let since = Instant::now();
    let said = single.scene.go(single.command(&["up", YAML])).end();
    tally.detected(since);
    assert_eq!(said.code, code, "{}", said.err);
    assert!(said.err.contains(words), "{}", said.err);
    assert_eq!(single.scene.results("out"), 0, "the client was started");
    tally.tried();
    said
}

/// Puts a service before the client's configuration.
fn service(single: &Single, yaml: &str) {
    single.change(
        "client_config:",
        &format!("services:\n  {yaml}\nclient_config:"),
    );
}

/// When the journal says this of a unit, in milliseconds.
fn moment(single: &Single, kind: &str, unit: &str) -> u64 {
    let journal = single.scene.journal("small");
    let found = journal
        .iter()
        .find(|record| record["event"]["kind"] == kind && record["event"]["unit"] == unit);
    found.and_then(|record| record["at"].as_u64()).unwrap()
}

fn ends_at_load(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let single = Single::new("plain", 1);
        service(
            &single,
            "loud: { node: box, port: 8001, command: [bash, -c, 'echo out of cheese; exit 7'], restart: { attempts: 0 }, ready: { http: /health } }",
        );
        let said = single.scene.run(&["up", YAML]);
        assert_eq!(said.code, 4, "{}", said.err);
        assert!(
            said.err.contains("loud ended with code 7: out of cheese"),
            "{}",
            said.err
        );
        let noticed = moment(&single, "exited", "loud") - moment(&single, "launched", "loud");
        tally
            .detected
            .push(std::time::Duration::from_millis(noticed));
        single.scene.run(&["down", YAML]);
        single.scene.assert_nothing_left();
        tally.tried();
    }
}

fn slow_load(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let single = Single::new("plain", 3);
        single.change(
            "version: 1\n",
            "version: 1\nenv: { set: { TOOLORCH_SIM_STARTUP_MS: 6000 } }\n",
        );
        let up = single.up();
        tally.tried();
        single.finish(up, tally);
    }
}

fn port_taken(tries: usize, tally: &mut Tally) {
    let mut single = Single::new("slow", 60 * tries);
    let up = single.up();
    for _ in 0..tries {
        single.progress();
        let (before, exits) = (
            single.count("ready", "chat-0"),
            single.count("exited", "chat-0"),
        );
        let starts = single.count("launched", "chat-0");
        let since = single.fault(&["chat-0", "port-taken", "--for", "1500ms"]);
        single.another("exited", "chat-0", exits);
        tally.detected(since);
        single.another("ready", "chat-0", before);
        tally.recovered(since);
        // Refused ones never became a server.
        assert!(single.count("launched", "chat-0") > starts);
        single.due += 1;
        tally.tried();
    }
    single.finish(up, tally);
}

fn stranger(model: &str, tries: usize, tally: &mut Tally) {
    let single = Single::new("plain", 1);
    let host = format!("{}1.1", single.scene.network());
    let mut other = single
        .scene
        .toolorch(&[
            "sim", "vllm", "serve", model, "--port", "8000", "--host", &host,
        ])
        .env("TOOLORCH_SIM_STARTUP_MS", "0")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until("the stranger", || {
        (!single.scene.listeners().is_empty()).then_some(())
    });
    for _ in 0..tries {
        let said = refused(&single, 3, "nothing was started", tally);
        assert!(said.err.contains(&other.id().to_string()), "{}", said.err);
    }
    other.kill().unwrap();
    other.wait().unwrap();
    single.scene.assert_nothing_left();
}

fn dies(tries: usize, tally: &mut Tally) {
    let mut single = Single::new("slow", 20 * tries);
    // Each death counts for ten minutes.
    single.change(
        "attempts: 20, backoff: 200ms } }",
        "attempts: 99, backoff: 200ms, window: 1s } }",
    );
    let up = single.up();
    for _ in 0..tries {
        single.progress();
        let (before, exits) = (
            single.count("ready", "chat-0"),
            single.count("exited", "chat-0"),
        );
        let since = single.kill("chat-0");
        single.another("exited", "chat-0", exits);
        tally.detected(since);
        single.another("ready", "chat-0", before);
        tally.recovered(since);
        tally.tried();
    }
    single.finish(up, tally);
}

fn hangs(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let mut single = Single::new("slow", 200);
        let up = single.up();
        single.progress();
        let (before, stops) = (
            single.count("ready", "chat-0"),
            single.count("stop-intended", "chat-0"),
        );
        let since = single.fault(&["chat-0", "hang"]);
        single.another("stop-intended", "chat-0", stops);
        tally.detected(since);
        single.due += 1;
        single.another("ready", "chat-0", before);
        tally.recovered(since);
        tally.tried();
        single.finish(up, tally);
    }
}

fn orphans(tries: usize, tally: &mut Tally) {
    let mut single = Single::new("slow", 40 * tries);
    single.change(
        "version: 1\n",
        "version: 1\nenv: { set: { TOOLORCH_SIM_TREE: \"1\" } }\n",
    );
    let engines = |single: &Single| -> Vec<u32> {
        let all = single.scene.processes();
        all.iter()
            .filter(|(_, line)| line.starts_with("VLLM::"))
            .map(|(pid, _)| *pid)
            .collect()
    };
    let up = single.up();
    for _ in 0..tries {
        single.progress();
        let old = until("engine and worker", || {
            Some(engines(&single)).filter(|all| all.len() == 2)
        });
        let before = single.count("ready", "chat-0");
        let since = single.kill("chat-0");
        single.another("ready", "chat-0", before);
        tally.recovered(since);
        let now = engines(&single);
        assert!(old.iter().all(|pid| !now.contains(pid)), "{old:?} {now:?}");
        tally.tried();
    }
    single.finish(up, tally);
}

fn parser(tries: usize, tally: &mut Tally) {
    for round in 0..tries {
        let single = Single::new("plain", 1);
        if round % 2 == 0 {
            single.change(
                "model: Qwen/Qwen3-8B,",
                "model: openai/gpt-oss-20b, tools: true, tool_parser: hermes,",
            );
            refused(&single, 2, "does not understand", tally);
        } else {
            single.change(
                "port: 8000,",
                "port: 8000, tools: true, tool_parser: jamba,",
            );
            refused(
                &single,
                4,
                "an automatic tool call came back as text",
                tally,
            );
        }
        single.scene.run(&["down", YAML]);
        single.scene.assert_nothing_left();
    }
}

fn context(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let single = Single::new("plain", 1);
        single.change("port: 8000,", "port: 8000, max_model_len: 32768,");
        single.change(
            "    marker: SUM_DONE",
            "    context: { chat: { prompt: 80034, output: 12000 } }\n    marker: SUM_DONE",
        );
        refused(&single, 2, "32768", tally);
        single.scene.assert_nothing_left();
    }
}

fn no_service(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let single = Single::new("plain", 1);
        service(
            &single,
            "retrieval: { node: box, port: 8001, command: [bash, -c, 'exit 3'], restart: { attempts: 0 }, ready: { http: /health } }",
        );
        refused(&single, 4, "retrieval", tally);
        single.scene.run(&["down", YAML]);
        single.scene.assert_nothing_left();
    }
}

/// Answers at once, but for its first five requests; keeps a line of each.
const COLD: &str = r#"import http.server, sys, time
class Cold(http.server.BaseHTTPRequestHandler):
    count = 0
    def do_GET(self): self.answer()
    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        Cold.count += 1
        if Cold.count <= 5: time.sleep(0.3)
        print("served", Cold.count, time.time(), flush=True)
        self.answer()
    def answer(self):
        self.send_response(200); self.send_header("content-length", "2"); self.end_headers(); self.wfile.write(b"{}")
    def log_message(self, *_): pass
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Cold).serve_forever()
"#;

fn cold_start(tries: usize, tally: &mut Tally) {
    for _ in 0..tries {
        let single = Single::new("plain", 2);
        single.scene.write("cold.py", COLD);
        let host = format!("{}1.1", single.scene.network());
        service(
            &single,
            &format!(
                "cold: {{ node: box, port: 8001, command: [python3, cold.py, {host}, \"{{port}}\"], ready: {{ http: /health }}, warmup: {{ post: /x, json: {{ a: 1 }}, requests: 5 }} }}"
            ),
        );
        let up = single.up();
        let said = up.end();
        assert_eq!(said.code, 0, "{}", said.err);
        let log = single.scene.read("home/runs/small/1/logs/cold.log");
        let served = log
            .lines()
            .filter(|line| line.starts_with("served"))
            .count();
        assert!(served >= 5, "{log}");
        let client = moment(&single, "launch-intended", "eval-sums");
        assert!(moment(&single, "ready", "cold") <= client);
        tally.tried();
        let records: Vec<Value> = single.events("ready");
        assert_eq!(records.len(), 2);
        single.judge(&said, tally);
    }
}
