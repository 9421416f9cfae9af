//! A `down` that is killed on its way: its scripts go on, and the next `up` waits for them.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use super::Scene;
use super::scene::until;
use super::small::{self, YAML};

/// A server that takes its time to end.
const SLOW: &str = r#"import http.server, signal, sys, time
def end(*_):
    open("ending", "w").close()
    time.sleep(1)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), http.server.SimpleHTTPRequestHandler).serve_forever()
"#;

fn of(journal: &[Value], kind: &str) -> usize {
    let events = journal.iter().map(|record| &record["event"]);
    let found = events.filter(|event| event["kind"] == kind && event["unit"] == "slow");
    found.count()
}

#[test]
fn the_next_up_waits_for_a_stop_that_is_under_way() {
    let scene: Scene = small::scene("plain", 2);
    scene.write("slow.py", SLOW);
    small::change(
        &scene,
        "client_config:",
        "services:\n  slow: { node: box, port: 8001, command: [python3, slow.py, \"{host}\", \"{port}\"], \
         restart: { attempts: 1, backoff: 100ms } }\nclient_config:",
    );
    for round in 1..=3 {
        scene.expect(0, &["up", "--no-eval", YAML]);
        let down = scene.go(scene.toolorch(&["down", YAML]));
        until("its stop at work", || {
            scene.path("ending").exists().then_some(())
        });
        // As a terminal does it for Ctrl-C: nobody in the foreground survives.
        down.signal_group(Signal::KILL);
        down.end();
        let status = scene.expect(0, &["status", YAML]).out;
        assert!(
            status.contains("`toolorch down` did not come to its end"),
            "{status}"
        );
        let said = scene.expect(0, &["up", "--no-eval", YAML]);
        fs::remove_file(scene.path("ending")).unwrap();

        let journal = scene.journal("small");
        assert_eq!(of(&journal, "launch-intended"), round + 1, "{}", said.err);
        assert_eq!(of(&journal, "exited"), 0, "{}", said.err);
        assert!(!said.err.contains("without a recorded"), "{}", said.err);
    }
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}
