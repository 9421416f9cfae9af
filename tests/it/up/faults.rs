//! Things go wrong by hand, or by a timeline, while a cluster is up.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::mpsc;
use toolorch::base::{RunId, UnitId};
use toolorch::sim::{Act, Candidate, Done, Happens as _, Stage, Timeline, timeline};
use toolorch::world::UnitDirs;

use super::Scene;
use super::scene::{Said, until};
use super::small::{self, YAML};

/// The small cluster whose server may come back often.
fn scene(mode: &str, questions: usize) -> Scene {
    let scene = small::scene(mode, questions);
    let hardy = "port: 8000, restart: { attempts: 20, backoff: 100ms } }";
    small::change(&scene, "port: 8000 }", hardy);
    scene
}

fn fault(scene: &Scene, words: &str) -> Said {
    let words: Vec<&str> = words.split(' ').collect();
    scene.run(&[&["sim", "fault"], &words[..]].concat())
}

/// The same, which must do it.
fn done(scene: &Scene, words: &str) -> String {
    let said = fault(scene, words);
    assert_eq!(said.code, 0, "{words}: {}{}", said.out, said.err);
    said.err
}

fn events(scene: &Scene, kind: &str, unit: &str) -> Vec<Value> {
    let records = scene.journal("small").into_iter();
    let events = records.map(|record| record["event"].clone());
    events
        .filter(|event| event["kind"] == kind && event["unit"] == unit)
        .collect()
}

/// Waits until the server has been ready once more than so often.
fn ready_after(scene: &Scene, times: usize) {
    until("the server to be ready again", || {
        (events(scene, "ready", "chat-0").len() > times).then_some(())
    });
}

fn ready(scene: &Scene) -> usize {
    events(scene, "ready", "chat-0").len()
}

fn leader(scene: &Scene, unit: &str) -> u64 {
    let started = events(scene, "started", unit);
    started.last().unwrap()["pid"].as_u64().unwrap()
}

/// `T` of a process that is stopped.
fn state(pid: u64) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after.chars().take(1).collect()
}

#[test]
fn a_server_that_nobody_watches_suffers_and_recovers() {
    let scene = scene("plain", 3);
    scene.expect(0, &["up", YAML, "--no-eval"]);
    let said = done(&scene, "chat-0 half-open");
    assert_eq!(said, "chat-0: half-open until it is ended\n");
    let probe = scene.expect(4, &["probe", YAML]).out;
    assert!(
        probe.contains("not ready, it stands at health: it does not answer in time"),
        "{probe}"
    );
    done(&scene, "chat-0 end");
    scene.expect(0, &["probe", YAML]);

    done(&scene, "chat-0 escapes --for 10m -f small.yaml");
    // As a terminal gets it; a pipe gets no sequences in any case.
    let logs = |more: &[&str]| {
        let words = [&["--color", "always", "logs", "chat-0"], more].concat();
        scene.expect(0, &words).out
    };
    let raw = until("escape sequences", || {
        let said = logs(&["--raw"]);
        said.contains("a picture").then_some(said)
    });
    assert!(raw.contains("\u{1b}]52;c;") && raw.contains('\u{9b}'));
    let shown = logs(&[]);
    assert!(shown.contains("a picture"), "{shown}");
    let hidden = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2066}\u{2028}".contains(c);
    let left: Vec<char> = shown.chars().filter(|c| hidden(*c)).collect();
    assert!(left.is_empty(), "{left:?} in {shown:?}");
    done(&scene, "chat-0 end");

    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

#[test]
fn what_does_not_fit_is_refused() {
    let scene = scene("plain", 3);
    scene.expect(0, &["up", YAML, "--no-eval"]);
    let said: Vec<String> = [
        "chat-0 sleep",
        "chat-0 torn",
        "chat-0 crash --for 3s",
        "chat-0 hang --for soon",
        "chat-9 hang",
        "eval-sums leak",
        "eval-sums hang",
        "eval-sums kill",
    ]
    .iter()
    .map(|words| {
        let said = fault(&scene, words);
        format!("{words}: {}\n{}", said.code, said.err)
    })
    .collect();
    insta::assert_snapshot!(said.concat(), @r"
    chat-0 sleep: 2
    error: `sleep` is no fault; there are crash, engine, hang, slow, error, busy, reset, wrong-model, half-open, escapes, flood, oom, port-taken, kill, stop, term, torn, leak, exit, outside, stall, die, end
    chat-0 torn: 2
    error: `torn` does not fit `chat-0`
    help: these do: crash, engine, hang, slow, error, busy, reset, wrong-model, half-open, escapes, flood, oom, port-taken, kill, stop, term, end
    chat-0 crash --for 3s: 2
    error: `crash` is a moment and has no length
    help: leave the length out
    chat-0 hang --for soon: 2
    error: `soon` is not a duration: write a number and a unit, such as `90s`, `60m`, `1h30m` or `500ms`
    chat-9 hang: 2
    error: there is no unit `chat-9`
    help: there are: chat-0, eval-sums
    eval-sums leak: 2
    error: `eval-sums` has no `TOOLORCH_CLIENT_CONTROL` in its environment, so nobody would hear `leak`
    help: these do: kill, stop, term, torn, end
    eval-sums hang: 2
    error: `hang` does not fit `eval-sums`
    help: these do: kill, stop, term, torn, end
    eval-sums kill: 3
    error: `eval-sums` does not run
    ");
    scene.expect(0, &["probe", YAML]);
    scene.expect(0, &["down", YAML]);
    let gone = fault(&scene, "chat-0 hang");
    assert_eq!(gone.code, 3);
    let network = scene.network();
    let url = gone.err.replace(&network, "127.0.");
    insta::assert_snapshot!(url, @r"
    error: `chat-0` cannot be told at `http://127.0.1.1:8000/sim/fault`: nobody listens there
    ");
    scene.assert_nothing_left();
}

#[test]
fn what_is_killed_or_torn_comes_back_whole() {
    let scene = scene("slow", 40);
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("two results", || (scene.results("out") > 1).then_some(()));

    let (before, first) = (ready(&scene), leader(&scene, "chat-0"));
    done(&scene, "chat-0 crash");
    ready_after(&scene, before);
    assert_ne!(leader(&scene, "chat-0"), first);

    // The disk of this machine takes fifty megabytes; nothing that reads the log may stumble over them.
    done(&scene, "chat-0 flood --for 1s");

    let said = done(&scene, "eval-sums torn");
    let torn = said.split('`').nth(1).unwrap().to_owned();
    until("the torn result aside", || {
        let aside = scene.names("out/.toolorch/set-aside");
        aside.iter().any(|name| name.contains(&torn)).then_some(())
    });
    until("the client to go on", || {
        (events(&scene, "started", "eval-sums").len() > 1).then_some(())
    });

    let before = ready(&scene);
    done(&scene, "chat-0 oom");
    done(&scene, "chat-0 kill");
    ready_after(&scene, before);
    let exits = events(&scene, "exited", "chat-0");
    let text = exits.last().unwrap().to_string();
    assert!(text.contains("torch.OutOfMemoryError"), "{text}");

    let said = up.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(scene.results("out"), 40);
    for name in scene.result_names("out") {
        let text = scene.read(&format!("out/{name}"));
        assert!(serde_json::from_str::<Value>(&text).is_ok(), "{name}");
    }
    scene.assert_nothing_left();
}

#[test]
fn a_server_waits_for_its_port_when_an_outsider_has_it() {
    let scene = scene("plain", 3);
    small::change(&scene, "[bash, client.sh,", "[bash, slow.sh,");
    scene.write("slow.sh", "sleep 30\n");
    small::change(&scene, "first_result: 2s", "first_result: 10m");
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("the client", || {
        (!events(&scene, "started", "eval-sums").is_empty()).then_some(())
    });
    let before = ready(&scene);
    done(&scene, "chat-0 port-taken --for 1500ms");
    ready_after(&scene, before);
    let exits = events(&scene, "exited", "chat-0");
    let refused = exits
        .iter()
        .filter(|exit| exit.to_string().contains("is in use by pid"));
    let words = refused.map(Value::to_string).collect::<Vec<_>>();
    assert!(
        words.iter().any(|text| text.contains("sim squat")),
        "{exits:?}"
    );

    let client = leader(&scene, "eval-sums");
    let began = Instant::now();
    let said = done(&scene, "eval-sums stop --for 300ms");
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_ne!(state(client), "T");
    assert!(said.ends_with("eval-sums: it goes on\n"), "{said}");
    done(&scene, "eval-sums stop");
    until("a stopped client", || (state(client) == "T").then_some(()));
    let said = done(&scene, "eval-sums end");
    assert!(said.ends_with(" goes on\n"), "{said}");
    assert_ne!(state(client), "T");

    up.signal(rustix::process::Signal::TERM);
    up.end();
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

#[test]
fn a_client_that_listens_is_told() {
    let scene = scene("slow", 30);
    let control = scene.path("words");
    let listening = format!("MODE: slow, TOOLORCH_CLIENT_CONTROL: {}", control.display());
    small::change(&scene, "MODE: slow", &listening);
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("a result", || (scene.results("out") > 0).then_some(()));
    let said = ["leak", "exit", "outside", "stall", "die"]
        .map(|word| done(&scene, &format!("eval-sums {word}")));
    assert_eq!(said[0], "eval-sums: told its client to leak\n");
    assert_eq!(scene.read("words"), "leak\nexit\noutside\nstall\ndie\n");
    up.signal(rustix::process::Signal::TERM);
    up.end();
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

#[test]
fn a_run_with_real_servers_is_left_alone_unless_it_is_said() {
    let scene = scene("plain", 3);
    let exe = env!("CARGO_BIN_EXE_toolorch");
    // Nobody can see from this command that it is the simulator.
    let real = format!(
        "engine: command, command: [env, \"{exe}\", sim, vllm, serve, Qwen/Qwen3-8B, --host, \"{{host}}\", --port, \"{{port}}\"],"
    );
    small::change(&scene, "engine: sim,", &real);
    scene.expect(0, &["up", YAML, "--no-eval"]);
    let said = ["chat-0 kill", "chat-0 hang --real"]
        .map(|words| fault(&scene, words))
        .map(|said| format!("{}\n{}", said.code, said.err));
    insta::assert_snapshot!(said.concat(), @r"
    3
    error: not every server of this run is simulated: chat-0 is real
    help: add `--real` if that is meant; what is lost there is lost
    2
    error: `hang` does not fit `chat-0`
    help: these do: kill, stop, term, end
    ");
    scene.expect(0, &["probe", YAML]);
    let pid = leader(&scene, "chat-0");
    let said = done(&scene, "chat-0 kill --real");
    assert_eq!(said, format!("chat-0: killed its process {pid}\n"));
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

/// A program called `vllm` may be the simulator; whether it is, it says itself.
#[test]
fn a_server_called_vllm_is_asked_whether_it_is_simulated() {
    let scene = scene("plain", 3);
    let script = scene.path("bin/vllm");
    let serve = "exec python3 -m http.server --bind \"$1\" \"$2\"\n";
    scene.write("bin/vllm", &format!("#!/bin/bash\n{serve}"));
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let command = format!(
        "engine: command, command: [{}, \"{{host}}\", \"{{port}}\"],",
        script.display()
    );
    small::change(&scene, "engine: sim,", &command);
    let up = scene.go(scene.toolorch(&["up", YAML]));
    let port = format!("{}1.1:8000", scene.network());
    until("a listener", || {
        scene.listeners().contains(&port).then_some(())
    });
    let said = fault(&scene, "chat-0 hang --real");
    assert_eq!(said.code, 2);
    insta::assert_snapshot!(said.err, @r"
    error: `chat-0` is no simulated server
    help: these do: kill, stop, term, end
    ");
    up.signal(rustix::process::Signal::TERM);
    up.end();
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

#[tokio::test]
async fn a_timeline_is_carried_out_and_ends_with_its_handle() {
    let scene = scene("slow", 60);
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("a result", || (scene.results("out") > 0).then_some(()));
    let run = RunId::new(scene.runs()[0].as_str());
    let plan = serde_json::from_str(&scene.read("home/runs/small/latest/plan.json")).unwrap();
    let dirs = UnitDirs::below(&scene.path("state"), &run);
    let stage = Arc::new(Stage::new(plan, dirs));
    let candidates = Candidate::all(stage.plan()).into_iter().map(|candidate| {
        let acts: Vec<&str> = candidate.acts.into_iter().map(Act::name).collect();
        let model = candidate
            .model
            .map_or("none".to_owned(), |name| name.to_string());
        format!("{} of {model}: {}", candidate.unit, acts.join(" "))
    });
    let candidates: Vec<String> = candidates.collect();
    insta::assert_snapshot!(candidates.join("\n"), @r"
    chat-0 of chat: crash engine hang slow error busy reset wrong-model half-open escapes flood port-taken kill stop term
    eval-sums of none: kill stop term torn
    ");
    let of = |unit: &str, text: &str| timeline(&UnitId::new(unit), text).unwrap();
    let schedule = [
        of("chat-0", "0s slow 10m, 50ms torn"),
        of("eval-sums", "100ms stop 10m, 10m kill"),
    ];
    let (tell, mut told) = mpsc::unbounded_channel();
    let running = Timeline::begin(&stage, schedule.concat(), Instant::now(), &tell);
    let mut said = Vec::new();
    for _ in 0..3 {
        let Done { planned, outcome } = told.recv().await.unwrap();
        let outcome = outcome.unwrap_or_else(|why| format!("not done: {why}"));
        said.push(format!("{planned}: {outcome}"));
    }
    said.sort();
    insta::with_settings!({filters => vec![(r"process \d+", "process PID")]}, {
        insta::assert_snapshot!(said.join("\n"), @r"
        after 0s: chat-0 slow for 10m: slow for 10m
        after 100ms: eval-sums stop for 10m: stopped its process PID for 10m
        after 50ms: chat-0 torn: not done: `torn` does not fit `chat-0`; these do: crash, engine, hang, slow, error, busy, reset, wrong-model, half-open, escapes, flood, oom, port-taken, kill, stop, term, end
        ");
    });
    let client = leader(&scene, "eval-sums");
    until("a stopped client", || (state(client) == "T").then_some(()));
    drop(running);
    tokio::time::timeout(Duration::from_secs(20), async {
        while state(client) == "T" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    drop(tell);
    assert_eq!(told.recv().await, None, "nobody is left to do the rest");
    up.signal(rustix::process::Signal::TERM);
    up.end();
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}
