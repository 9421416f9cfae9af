//! `toolorch drain`: by the controller that watches, and where none does.

use rustix::process::Signal;
use serde_json::Value;

use super::Scene;
use super::scene::until;
use super::small::{self, YAML, change};

fn starts(scene: &Scene, unit: &str) -> usize {
    let journal = scene.journal("small");
    let events = journal.iter().map(|record| &record["event"]);
    let launched = events.filter(|event| event["kind"] == "launched" && event["unit"] == unit);
    launched.count()
}

fn phase(scene: &Scene, unit: &str) -> String {
    let status: Value =
        serde_json::from_str(&scene.expect(0, &["status", YAML, "--json"]).out).unwrap();
    let units = status["groups"][0]["units"].as_array().unwrap();
    let unit = units.iter().find(|one| one["unit"] == unit).unwrap();
    unit["phase"].as_str().unwrap().to_owned()
}

#[test]
fn a_drained_server_stays_away_whoever_watches() {
    let scene = small::scene("slow", 40);
    change(&scene, "port: 8000", "port: 8000, replicas: 2");
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("a result", || (scene.results("out") > 0).then_some(()));

    let unknown = scene.expect(2, &["drain", "nope", YAML]);
    assert!(
        unknown
            .err
            .contains("help: nodes: box; models and services: chat;"),
        "{}",
        unknown.err
    );
    let client = scene.expect(2, &["drain", "eval-sums", YAML]);
    assert!(
        client.err.contains("only servers can be drained"),
        "{}",
        client.err
    );

    let said = scene.expect(0, &["drain", "chat-1", YAML]);
    assert!(
        said.err
            .contains("back again: toolorch drain --undo chat-1 small.yaml"),
        "{}",
        said.err
    );
    assert_eq!(phase(&scene, "chat-1"), "drained");
    assert_eq!(phase(&scene, "chat-0"), "ready");
    assert!(
        scene
            .expect(0, &["drain", "chat-1", YAML])
            .err
            .contains("drained already")
    );

    // The last one is not taken from an evaluation unasked.
    let refused = scene.expect(3, &["drain", "box", YAML]);
    let consequence = "no server of `chat` that is ready stays: `sums` is held";
    assert!(refused.err.contains(consequence), "{}", refused.err);
    assert_eq!(phase(&scene, "chat-0"), "ready");

    scene.expect(0, &["drain", "--undo", "box", YAML]);
    until("chat-1", || {
        (phase(&scene, "chat-1") == "ready").then_some(())
    });
    assert_eq!((starts(&scene, "chat-0"), starts(&scene, "chat-1")), (1, 2));

    up.signal(Signal::KILL);
    up.end();
    let said = scene.expect(0, &["drain", "chat-1", YAML]);
    assert!(!said.err.contains("the controller"), "{}", said.err);
    assert_eq!(phase(&scene, "chat-1"), "drained");
    let last = scene.expect(0, &["up", YAML]);
    assert!(!last.err.contains("chat-1 ready"), "{}", last.err);
    assert_eq!(scene.results("out"), 40, "{}", last.err);
    assert_eq!((starts(&scene, "chat-0"), starts(&scene, "chat-1")), (1, 2));
    scene.assert_nothing_left();
}

#[test]
fn whoever_undrains_after_the_work_hears_what_starts_it() {
    let scene = small::scene("plain", 2);
    change(&scene, "when_done: down", "when_done: keep");
    change(&scene, "port: 8000", "port: 8000, replicas: 2");
    scene.expect(0, &["up", YAML]);
    scene.expect(0, &["drain", "chat-1", YAML]);
    let said = scene.expect(0, &["drain", "--undo", "chat-1", YAML]);
    assert!(
        said.err.contains("takes `toolorch up --no-eval`"),
        "{}",
        said.err
    );
    let said = scene.expect(0, &["up", "--no-eval", YAML]);
    // Nothing was evaluated: there are no books to show.
    assert!(!said.err.contains("books:"), "{}", said.err);
    assert_eq!(phase(&scene, "chat-1"), "ready");
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

#[test]
fn a_drain_outlives_a_damaged_journal() {
    let scene = small::scene("slow", 30);
    change(&scene, "port: 8000", "port: 8000, replicas: 2");
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("a result", || (scene.results("out") > 0).then_some(()));
    scene.expect(0, &["drain", "chat-1", YAML]);
    up.signal(Signal::KILL);
    up.end();
    let segment = "home/runs/small/1/journal.1.jsonl";
    let text = scene.read(segment);
    scene.write(segment, &text.replacen("owner-took", "owner-tock", 1));
    scene.expect(65, &["up", YAML]);
    let said = scene.expect(0, &["up", "--rebuild", YAML]);
    let told = "drained as before: `chat-1`; 1 line cannot be read: a drain or a call elsewhere that stood there is forgotten";
    assert!(said.err.contains(told), "{}", said.err);
    assert!(!said.err.contains("chat-1 ready"), "{}", said.err);
    assert_eq!(starts(&scene, "chat-1"), 1, "{}", said.err);
    scene.assert_nothing_left();
}

#[test]
fn a_missing_segment_is_no_journal_to_go_on_with() {
    let scene = small::scene("slow", 30);
    change(&scene, "port: 8000", "port: 8000, replicas: 2");
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("a result", || (scene.results("out") > 0).then_some(()));
    up.signal(Signal::KILL);
    up.end();
    scene.expect(0, &["drain", "chat-1", YAML]);
    let second = scene.path("home/runs/small/1/journal.2.jsonl");
    std::fs::remove_file(second).unwrap();
    for command in ["status", "up"] {
        let refused = scene.expect(65, &[command, YAML]);
        let why = "journal.2.jsonl` line 1: the file is missing";
        assert!(refused.err.contains(why), "{}", refused.err);
    }
    let said = scene.expect(0, &["up", "--rebuild", YAML]);
    assert!(said.err.contains("is begun anew"), "{}", said.err);
    assert_eq!(scene.results("out"), 30);
    scene.assert_nothing_left();
}
