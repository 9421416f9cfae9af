//! Where a client's calls go, with real sockets.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::Scene;
use super::scene::until;
use super::small::{self, YAML};

/// Calls the places in CALLS, one after the other, holds the lines, and works when it is told to go on.
const CALLER: &str = r#"
for place in $CALLS; do exec {fd}<>"/dev/tcp/${place%:*}/${place##*:}"; done
echo called
while [[ ! -e go ]]; do sleep 0.05; done
mkdir -p "$2"
while IFS= read -r line; do
  id=${line#*'"id":"'} id=${id%%'"'*}
  printf '{"id":"%s","status":"done"}' "$id" >"$2/$id.json"
  echo "SUM_DONE id=$id status=done"
done <"$1"
"#;

/// A listener at an address of the scene's network, which is in no plan.
fn listener(scene: &Scene, end: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind(format!("{}{end}:0", scene.network())).unwrap();
    let place = listener.local_addr().unwrap().to_string();
    (listener, place)
}

/// The small cluster whose client calls these places, and declares these URLs.
fn scene_that_calls(scene: &Scene, calls: &[&str], declared: &[&str]) {
    scene.write("client.sh", CALLER);
    let calls = calls.join(" ");
    small::change(scene, "MODE: plain", &format!("CALLS: \"{calls}\""));
    let lines: Vec<String> = (declared.iter().enumerate())
        .map(|(number, url)| format!("  outside-{number}: {{ url: \"{url}\" }}\n"))
        .collect();
    let externals = format!("externals:\n{}client_config:", lines.concat());
    if !declared.is_empty() {
        small::change(scene, "client_config:", &externals);
    }
}

fn alarms(scene: &Scene, word: &str) -> Vec<Value> {
    let records = scene.journal("small").into_iter();
    records
        .filter(|record| record["event"]["alarm"] == word)
        .collect()
}

#[test]
fn a_call_to_an_undeclared_address_is_told_at_once_and_survives_the_controller() {
    let scene = small::scene("plain", 4);
    let (_declared, friend) = listener(&scene, "77.1");
    let (_undeclared, stranger) = listener(&scene, "77.2");
    scene_that_calls(
        &scene,
        &[&friend, &stranger],
        &[&format!("http://{friend}/v1")],
    );
    small::change(&scene, "first_result: 2s", "first_result: 60s");
    let up = scene.go(scene.toolorch(&["up", YAML]));
    let log = "home/runs/small/latest/logs/eval-sums.log";
    until("the calls", || {
        let log = std::fs::read_to_string(scene.path(log)).ok()?;
        log.contains("called").then_some(())
    });
    let called = Instant::now();
    let alarm = until("the alarm", || alarms(&scene, "outside-call").pop());
    assert!(called.elapsed() < Duration::from_secs(10));
    let text = alarm["event"]["text"].as_str().unwrap();
    let text = text.replace(&stranger, "STRANGER");
    let (before, _) = text.split_once("pid ").unwrap();
    insta::assert_snapshot!(before, @"`sums` calls STRANGER, which is no endpoint and no declared external (bash,");

    up.signal(Signal::KILL);
    up.end();
    let again = scene.go(scene.toolorch(&["up", YAML]));
    until("the next owner's alarm", || {
        (alarms(&scene, "outside-call").len() == 2).then_some(())
    });
    scene.write("go", "");
    let said = again.end();
    assert_eq!(said.code, 7, "{}", said.err);
    assert_eq!(scene.results("out"), 4);
    assert!(said.err.contains("exit code 7"), "{}", said.err);
    // Nobody complains of what is declared.
    let journal = scene.journal("small");
    let friendly = |record: &Value| record.to_string().contains(&format!("calls {friend}"));
    assert!(!journal.iter().any(friendly));
    scene.assert_nothing_left();
}
