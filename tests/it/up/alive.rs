//! Servers that are ready and do not live, and evaluations that wait for them: with real processes, in scaled time.

use rustix::process::Signal;
use serde_json::Value;

use super::Scene;
use super::scene::{kill, until};

/// Ten seconds of toolorch pass in one.
const SCALE: &str = "10";

const YAML: &str = "alive.yaml";

/// Six servers, each of three processes, and a client that only waits.
const SIX: &str = r#"version: 1
name: alive
vllm: { version: "0.12.0" }
nodes: { box: { gpus: 0, transport: local, address: 127.0.1.1 } }
models:
  chat: { engine: sim, model: Qwen/Qwen3-8B, node: box, replicas: 6, port: 8000, env: { set: { TOOLORCH_SIM_TREE: "1" } }, restart: { attempts: 9, backoff: 1s } }
evals:
  wait: { command: [sleep, "600"], dataset: data.jsonl, results: out, requires: [chat], limits: { first_result: 10h, stall: 10h } }
when_done: down
"#;

fn events(scene: &Scene, kind: &str) -> Vec<(Value, u64)> {
    let records = scene.journal("alive").into_iter();
    records
        .filter(|record| record["event"]["kind"] == kind)
        .map(|record| (record["event"].clone(), record["at"].as_u64().unwrap()))
        .collect()
}

fn of_unit(scene: &Scene, kind: &str, unit: &str) -> Vec<(Value, u64)> {
    let mut events = events(scene, kind);
    events.retain(|(event, _)| event["unit"] == unit);
    events
}

/// The process of a server's last start, and of its engine.
fn processes(scene: &Scene, unit: &str) -> Vec<u32> {
    let started = of_unit(scene, "started", unit);
    let leader = started.last().unwrap().0["pid"].as_u64().unwrap();
    let leader = u32::try_from(leader).unwrap();
    let mut tree = vec![leader];
    let all = std::fs::read_dir("/proc").unwrap();
    let pids: Vec<u32> = all
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    loop {
        let more: Vec<u32> = (pids.iter().copied())
            .filter(|pid| !tree.contains(pid) && parent(*pid).is_some_and(|p| tree.contains(&p)))
            .collect();
        if more.is_empty() {
            return tree;
        }
        tree.extend(more);
    }
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(1)?.parse().ok()
}

fn scaled(scene: &Scene, args: &[&str]) -> std::process::Command {
    let mut command = scene.toolorch(args);
    command.env("TOOLORCH_TIME_SCALE", SCALE);
    command
}

/// The scaled time of this moment.
fn now() -> u64 {
    let wall = std::time::SystemTime::now();
    let wall = wall.duration_since(std::time::UNIX_EPOCH).unwrap();
    let origin = 1_767_225_600_000;
    let wall = u64::try_from(wall.as_millis()).unwrap();
    origin + wall.saturating_sub(origin) * 10
}

fn fault(scene: &Scene, unit: &str, kind: &str) {
    let said = scene.run(&["sim", "fault", unit, kind]);
    assert_eq!(said.code, 0, "{unit} {kind}: {}", said.err);
}

/// A chat completion that nobody will answer; the thread ends with its server.
fn ask(scene: &Scene, port: u16) {
    let address = format!("{}1.1:{port}", scene.network());
    std::thread::spawn(move || complete(&address));
}

/// A chat completion, once its answer is there.
fn complete(address: &str) -> Option<usize> {
    use std::io::{Read as _, Write as _};
    let body = r#"{"model": "Qwen/Qwen3-8B", "messages": [{"role": "user", "content": "?"}]}"#;
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    answer.starts_with(b"HTTP/1.1 200").then_some(answer.len())
}

#[test]
fn a_server_that_does_not_live_is_found_within_half_a_minute_and_restarted() {
    let scene = Scene::new();
    scene.write(YAML, &scene.here(SIX));
    scene.write("data.jsonl", "{\"id\":\"a\"}\n");
    let up = scene.go(scaled(&scene, &["up", YAML]));
    until("the client", || {
        (!of_unit(&scene, "started", "eval-wait").is_empty()).then_some(())
    });
    let began = now();
    for (unit, kind) in [
        ("chat-1", "hang"),
        ("chat-2", "half-open"),
        ("chat-3", "hang"),
    ] {
        fault(&scene, unit, kind);
    }
    ask(&scene, 8003);
    let engine = processes(&scene, "chat-4")[1];
    kill(engine, Signal::STOP);
    for pid in processes(&scene, "chat-5") {
        kill(pid, Signal::STOP);
    }
    let ended = now();
    let sick = ["chat-1", "chat-2", "chat-3", "chat-4", "chat-5"];
    for unit in sick {
        let (judged, at) = until("a verdict", || of_unit(&scene, "judged", unit).pop());
        assert_eq!(judged["liveness"], "stalled", "{judged}");
        // What the machine itself takes counts ten times.
        let took = at - began;
        assert!(
            took <= 30_000 + (ended - began) + 10_000,
            "{unit} after {took} ms: {judged}"
        );
    }
    for unit in sick {
        until("the server again", || {
            let ready = of_unit(&scene, "ready", unit);
            (ready.len() > 1).then_some(())
        });
        assert_eq!(of_unit(&scene, "launch-intended", unit).len(), 2, "{unit}");
    }
    assert_eq!(of_unit(&scene, "judged", "chat-0"), []);
    let status = scene.run(&["status", YAML]).out;
    assert!(status.contains("6/6 ready"), "{status}");
    up.signal(Signal::TERM);
    up.end();
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

/// One class of two replicas, and a client that writes an error where it cannot ask.
const HELD: &str = r#"version: 1
name: alive
vllm: { version: "0.12.0" }
nodes: { box: { gpus: 0, transport: local, address: 127.0.1.1 } }
models:
  chat: { engine: sim, model: Qwen/Qwen3-8B, node: box, replicas: 2, port: 8000, restart: { attempts: 99, backoff: 1s } }
evals:
  sums:
    command: [bash, client.sh, "{dataset}", "{results}", "127.0.1.1"]
    dataset: data.jsonl
    results: out
    marker: SUM_DONE
    requires: [chat]
    limits: { first_result: 10m, stall: 10h }
when_done: down
"#;

/// Asks the servers in turn; what is written tells how often it was.
const CLIENT: &str = r#"mkdir -p "$2"
n=0
while IFS= read -r line; do
  id=${line#*'"id":"'} id=${id%%'"'*}
  [[ -e $2/$id.json ]] && continue
  echo "$id" >>asked.txt
  n=$((n + 1)) status=error
  if (exec 3<>"/dev/tcp/$3/$((8000 + n % 2))") 2>/dev/null; then status=done; fi
  sleep 0.1
  printf '{"id":"%s","status":"%s"}' "$id" "$status" >"$2/.$id" && mv "$2/.$id" "$2/$id.json"
  echo "SUM_DONE id=$id status=$status"
done <"$1"
"#;

#[test]
fn an_outage_of_all_replicas_leaves_no_error_and_asks_nothing_twice() {
    let scene = Scene::new();
    scene.write(YAML, &scene.here(HELD));
    scene.write("client.sh", CLIENT);
    let lines = (0..100).map(|n| format!("{{\"id\":\"q-{n}\"}}\n"));
    scene.write("data.jsonl", &lines.collect::<String>());
    let up = scene.go(scaled(&scene, &["up", YAML]));
    until("thirty results", || {
        (scene.results("out") >= 30).then_some(())
    });
    let before = scene.result_names("out");
    // Whoever starts is killed at once, until the hold has lasted for a while.
    let held = until("the hold", || {
        for unit in ["chat-0", "chat-1"] {
            let started = of_unit(&scene, "started", unit);
            if let Some(pid) = started.last().and_then(|(event, _)| event["pid"].as_u64()) {
                kill(u32::try_from(pid).unwrap(), Signal::KILL);
            }
        }
        events(&scene, "eval-held").pop()
    });
    assert!(
        held.0["why"]
            .as_str()
            .unwrap()
            .contains("`chat` has no server"),
        "{}",
        held.0
    );
    let status = scene.run(&["status", YAML]).out;
    assert!(
        status.contains("held: `chat` has no server that is ready"),
        "{status}"
    );
    let said = up.end();
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    assert_eq!(scene.results("out"), 100);
    for name in scene.result_names("out") {
        let text = scene.read(&format!("out/{name}"));
        assert!(text.contains("\"status\":\"done\""), "{name}: {text}");
    }
    let (resumed, _) = events(&scene, "eval-resumed").pop().unwrap();
    let set_aside = usize::try_from(resumed["set_aside"].as_u64().unwrap()).unwrap();
    let aside = scene.names("out/.toolorch/set-aside/errors").len()
        + scene.names("out/.toolorch/set-aside/asked-again").len();
    assert_eq!(aside, set_aside);
    assert!(set_aside > 0, "the client met the outage");
    let asked = scene.read("asked.txt");
    for name in before {
        let id = name.strip_suffix(".json").unwrap();
        let times = asked.lines().filter(|line| *line == id).count();
        assert_eq!(times, 1, "{id} was finished and asked again");
    }
    // The one at which it was stopped, and those that were set aside.
    let again = asked.lines().count() - 100;
    assert!(
        again <= set_aside + 1,
        "{again} asked again, {set_aside} set aside"
    );
    scene.assert_nothing_left();
}

/// Servers at their limit: each computes four answers of a minute at once, and ten clients ask it.
const FULL: &str = r#"version: 1
name: alive
vllm: { version: "0.12.0" }
nodes: { box: { gpus: 0, transport: local, address: 127.0.1.1 } }
models:
  chat:
    engine: sim
    model: Qwen/Qwen3-8B
    node: box
    replicas: 3
    port: 8000
    args: { max-num-seqs: 4 }
    sim: { decode_rate: 10, prefill_rate: 1000, answer_tokens: 600, answer_spread: 0 }
    restart: { attempts: 9, backoff: 1s }
evals:
  wait: { command: [sleep, "6000"], dataset: data.jsonl, results: out, requires: [chat], limits: { first_result: 10h, stall: 10h } }
when_done: down
"#;

#[test]
fn a_full_server_may_answer_a_new_owner_late() {
    let scene = Scene::new();
    scene.write(YAML, &scene.here(&SIX.replace("replicas: 6, ", "")));
    scene.write("data.jsonl", "{\"id\":\"a\"}\n");
    let first = scene.go(scene.toolorch(&["up", YAML]));
    until("the client", || {
        (!of_unit(&scene, "started", "eval-wait").is_empty()).then_some(())
    });
    first.signal(Signal::KILL);
    first.end();
    // Every request takes five seconds more.
    fault(&scene, "chat-0", "slow");
    let healthy = || {
        let climbed = of_unit(&scene, "climbed", "chat-0").into_iter();
        climbed
            .filter(|(event, _)| event["rung"] == "health")
            .count()
    };
    let before = healthy();
    let second = scene.go(scene.toolorch(&["up", YAML]));
    until("the second owner's look", || {
        (healthy() > before).then_some(())
    });
    second.signal(Signal::TERM);
    second.end();
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

#[test]
#[ignore = "ten minutes of real time: it belongs to the reliability command"]
fn full_servers_with_a_slow_health_are_left_alone_for_ten_minutes() {
    let scene = Scene::new();
    scene.write(YAML, &scene.here(FULL));
    scene.write("data.jsonl", "{\"id\":\"a\"}\n");
    let mut up = scene.go(scene.toolorch(&["up", YAML]));
    until("the client", || {
        (!of_unit(&scene, "started", "eval-wait").is_empty()).then_some(())
    });
    for port in 8000..8003 {
        let address = format!("{}1.1:{port}", scene.network());
        for _ in 0..10 {
            let address = address.clone();
            std::thread::spawn(move || while complete(&address).is_some() {});
        }
    }
    // Each request, `/health` and `/metrics` among them, takes five seconds more.
    fault(&scene, "chat-1", "slow");
    std::thread::sleep(std::time::Duration::from_mins(10));
    assert_eq!(events(&scene, "judged"), []);
    assert_eq!(events(&scene, "alarm"), []);
    up.signal(Signal::TERM);
    up.child.wait().unwrap();
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}
