//! What a log holds moves no terminal and proves nothing.

use super::places::after;
use crate::up::small::{self, YAML, change};

/// Sets the title, clears the screen, paints over, turns the reading direction, fills the clipboard; then words.
const PAYLOAD: &str = r"\033]0;OWNED\007\033[2J\033[1;1HPAINTED\r\302\2332J\302\2350;OWNED\302\234\342\200\256\342\201\246\342\200\250\033]52;c;T1dORUQ=\007plain words";

#[track_caller]
fn harmless(text: &str, what: &str) {
    for wild in [
        "\u{1b}]",
        "\u{1b}[2J",
        "\u{1b}[1;1H",
        "\u{9b}",
        "\u{9d}",
        "\u{202e}",
        "\u{2066}",
        "\u{2028}",
        "\u{7}",
    ] {
        assert!(!text.contains(wild), "{what} has {wild:?}: {text:?}");
    }
}

#[test]
fn no_sequence_of_a_log_reaches_a_terminal_and_no_word_makes_a_server_ready() {
    let scene = small::scene("plain", 1);
    let service = |name: &str, port: u16, then: &str, timeout: &str| {
        format!(
            "  {name}: {{ node: box, port: {port}, command: [bash, say.sh, {then}], restart: {{ attempts: 0 }}, \
             ready: {{ http: /health, timeout: {timeout} }} }}\n"
        )
    };
    // The second tells a lie and never listens.
    scene.write(
        "say.sh",
        &format!("echo 'INFO: Application startup complete.'\nprintf '{PAYLOAD}\\n'\n[[ $1 == dies ]] && exit 7\nexec sleep 60\n"),
    );
    let services = format!(
        "services:\n{}{}client_config:",
        service("loud", 8001, "dies", "30s"),
        service("liar", 8002, "stays", "2s")
    );
    change(&scene, "client_config:", &services);
    change(&scene, "when_done: down", "when_done: keep");

    let mut up = scene.toolorch(&["up", YAML]);
    up.env("TERM", "xterm-256color").env("COLUMNS", "200");
    let terminal = after("exec script -qefc \"${*@Q}\" /dev/null", &up);
    let said = scene.go(terminal).end();
    assert_eq!(said.code, 4, "{}{}", said.out, said.err);
    harmless(&said.out, "the live display");
    assert!(
        said.out.contains("loud ended with code 7: ") && said.out.contains("plain words"),
        "{:?}",
        said.out
    );
    let journal = scene.journal("small");
    let ready = journal
        .iter()
        .filter(|record| record["event"]["kind"] == "ready");
    let ready: Vec<&str> = ready
        .map(|record| record["event"]["unit"].as_str().unwrap())
        .collect();
    assert!(
        !ready.contains(&"liar") && !ready.contains(&"loud"),
        "{ready:?}"
    );

    for words in [
        "up small.yaml --events plain",
        "status",
        "status --json",
        "events",
        "probe small.yaml",
        "logs loud",
    ] {
        let words: Vec<&str> = ["--color", "always"]
            .into_iter()
            .chain(words.split(' '))
            .collect();
        let said = scene.run(&words);
        harmless(&(said.out + &said.err), &words.join(" "));
    }
    let log = scene.read("home/runs/small/1/logs/loud.log");
    assert!(
        log.contains("\u{1b}]0;OWNED\u{7}"),
        "on disk it is as it was"
    );
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}

#[test]
fn names_that_a_client_or_a_dataset_chose_are_shown_plain() {
    let scene = small::scene("plain", 1);
    scene.write(
        "data.jsonl",
        "{\"id\":\"q-0\"}\n{\"id\":\"q-\u{202e}gnp.1\"}\n",
    );
    scene.write(
        "client.sh",
        "mkdir -p \"$2\"\nprintf '%s' '{\"id\":\"q-0\",\"status\":\"done\",\"calls\":[{\"model\":\"\\u001b]0;OWNED\\u0007\\u202emodel\",\"ms\":5}]}' >\"$2/q-0.json\"\necho 'SUM_DONE id=q-0 status=done'\n",
    );
    let said = scene.expect(6, &["--color", "always", "up", YAML]);
    harmless(&(said.out + &said.err), "the tables");
    scene.assert_nothing_left();
}
