//! What is passed to a program is nowhere but in its environment and in one file of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use super::places::below;
use crate::up::Scene;
use crate::up::scene::until;
use crate::up::small::{self, YAML, change};

/// Stands in every line of every secret, so that a part of one is found as well.
const CORE: &str = "cAnArY7f3Kq9Zx";

/// A value that would break whatever does not take it as bytes.
fn value(name: &str) -> String {
    format!("{name} {CORE} it's \"quoted\" `id -un` $(touch PWNED) \\\nsecond {CORE} line %41 ü")
}

/// The core as it is (JSON and URLs leave it so), and as it looks in base 64 at each of three offsets.
fn forms() -> Vec<Vec<u8>> {
    let mut forms = vec![CORE.as_bytes().to_vec()];
    for (shift, skip) in [(0, 0), (1, 2), (2, 3)] {
        let text = "x".repeat(shift) + CORE;
        let whole = text.len() / 3 * 3;
        let encoded = base64(&text.as_bytes()[..whole]);
        forms.push(encoded.as_bytes()[skip..].to_vec());
    }
    forms
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let threes = bytes
        .chunks(3)
        .map(|three| u32::from_be_bytes([0, three[0], three[1], three[2]]));
    let digits =
        threes.flat_map(|bits| [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 63) as usize]));
    digits.map(char::from).collect()
}

fn holds(bytes: &[u8], forms: &[Vec<u8>]) -> bool {
    let has = |form: &Vec<u8>| bytes.windows(form.len()).any(|window| window == form);
    forms.iter().any(has)
}

/// Files below a folder that hold a secret in any form.
fn found_in(folder: &Path) -> Vec<String> {
    let forms = forms();
    let files = below(folder).into_iter().filter(|path| path.is_file());
    let found = files.filter(|path| holds(&fs::read(path).unwrap_or_default(), &forms));
    let name = |path: &Path| {
        path.strip_prefix(folder)
            .unwrap()
            .to_string_lossy()
            .into_owned()
    };
    let mut found: Vec<String> = found.map(|path| name(&path)).collect();
    found.sort();
    found
}

/// Looks at the command lines of all processes, again and again, until it is asked what it saw.
struct Looks {
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(usize, Vec<String>)>,
}

impl Looks {
    fn begin() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let ends = over.clone();
        let thread = std::thread::spawn(move || {
            let (forms, mut looks, mut seen) = (forms(), 0, Vec::new());
            while !ends.load(Ordering::Relaxed) {
                for entry in fs::read_dir("/proc").unwrap().flatten() {
                    let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                    if holds(&line, &forms) {
                        seen.push(String::from_utf8_lossy(&line).into_owned());
                    }
                }
                looks += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            (looks, seen)
        });
        Self { over, thread }
    }

    fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        let (looks, seen) = self.thread.join().unwrap();
        assert!(looks > 10, "{looks} looks");
        assert_eq!(seen, [] as [String; 0], "in a command line");
    }
}

const PASSED: [&str; 3] = ["HF_TOKEN", "OPENAI_API_KEY", "SITE_LICENSE"];

/// The program as a user calls it whose shell is full of keys.
fn call(scene: &Scene, args: &[&str]) -> Command {
    let mut command = scene.toolorch(args);
    // One more that nobody passes.
    for name in PASSED.iter().chain(&["NEBIUS_API_KEY"]) {
        command.env(name, value(name));
    }
    command
}

/// Writes down how many of the variables it was given, by their length alone.
const COUNTS: &str = "printf '%s %s %s\\n' \"${#HF_TOKEN}\" \"${#OPENAI_API_KEY}\" \"${#NEBIUS_API_KEY}\" >>lengths\n";

#[test]
fn canaries_are_found_in_the_units_own_files_alone() {
    let scene = small::scene("slow", 12);
    change(
        &scene,
        "name: small",
        "name: small\nlauncher: tmux\nenv: { pass: [SITE_LICENSE] }",
    );
    change(
        &scene,
        "port: 8000 }",
        "port: 8000, env: { pass: [HF_TOKEN] } }",
    );
    change(&scene, "env: { set:", "env: { pass: [OPENAI_API_KEY], set:");
    change(&scene, "when_done: down", "when_done: keep");
    let client = scene.read("client.sh");
    scene.write("client.sh", &format!("{COUNTS}{client}"));
    let looks = Looks::begin();

    let up = scene.go(call(&scene, &["up", YAML]));
    until("two results", || (scene.results("out") > 1).then_some(()));
    let run = scene.runs()[0].clone();
    let own = [
        format!("state/{run}/chat-0/secrets"),
        format!("state/{run}/eval-sums/secrets"),
    ];
    assert_eq!(found_in(&scene.path("")), own, "while it runs");
    for file in &own {
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let path = scene.path(file);
        assert_eq!(
            (mode(&path), mode(path.parent().unwrap())),
            (0o600, 0o700),
            "{file}"
        );
    }
    let shown = Command::new("tmux")
        .args(["-L", &format!("toolorch-{run}"), "show-environment", "-g"])
        .env("TMUX_TMPDIR", scene.path("tmux"))
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("PATH=") && !shown.contains(CORE), "{shown}");

    up.signal(Signal::KILL);
    up.end();
    assert_eq!(found_in(&scene.path("")), own, "after a kill");
    for words in [
        "up small.yaml",
        "status --json",
        "status",
        "events",
        "runs",
        "plan small.yaml --format json",
        "probe small.yaml",
        "logs eval-sums",
        "check small.yaml",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let said = scene.go(call(&scene, &words)).end();
        assert_eq!(said.code, 0, "{words:?}\n{}{}", said.out, said.err);
    }
    // What these commands said stands in files of the scene, too.
    assert_eq!(found_in(&scene.path("")), own, "at the end");
    assert_eq!(scene.results("out"), 12);
    let lengths = format!("0 {} 0\n", value("OPENAI_API_KEY").chars().count());
    assert_eq!(
        scene.read("lengths").replace(&lengths, ""),
        "",
        "the client has its key, whole, and no other"
    );

    scene.expect(0, &["down", YAML]);
    assert_eq!(found_in(&scene.path("")), [] as [String; 0], "after `down`");
    looks.end();
    let made = below(&scene.path(""));
    assert!(!made.iter().any(|path| path.ends_with("PWNED")));
    scene.assert_nothing_left();
}

/// What a server says of its key stays in its own log.
#[test]
fn a_key_that_a_server_prints_is_masked_wherever_its_last_words_are_shown() {
    let scene = small::scene("plain", 1);
    let words = r#"echo "the token $HF_TOKEN was refused"; printf %s "$HF_TOKEN" | base64 -w0; echo; echo "so it ends: $HF_TOKEN"; exit 7"#;
    let service = format!(
        "services:\n  loud: {{ node: box, port: 8001, command: [bash, -c, '{words}'], env: {{ pass: [HF_TOKEN] }}, \
         restart: {{ attempts: 0 }}, ready: {{ http: /health }} }}\nclient_config:"
    );
    change(&scene, "client_config:", &service);
    change(&scene, "when_done: down", "when_done: keep");
    let said = scene.go(call(&scene, &["up", YAML])).end();
    assert_eq!(said.code, 4, "{}", said.err);
    let run = scene.runs()[0].clone();
    let log = "home/runs/small/1/logs/loud.log".to_owned();
    assert_eq!(
        found_in(&scene.path("")),
        [log, format!("state/{run}/loud/secrets")]
    );
    let shown = said
        .err
        .lines()
        .find(|line| line.contains("loud ended"))
        .unwrap();
    assert!(
        shown.contains("with code 7: ") && shown.contains("[HF_TOKEN]"),
        "{shown}"
    );
    scene.expect(0, &["down", YAML]);
    scene.assert_nothing_left();
}
