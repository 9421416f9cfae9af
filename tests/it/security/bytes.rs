//! Arguments and variables arrive byte for byte where `up` starts a program, in tmux and without.

use serde_json::Value;
use toolorch::base::is_hidden;

use super::injection::{CORPUS, written};
use super::places::below;
use crate::unit_script::lab::python;
use crate::up::small::{self, YAML, change};

/// Writes its arguments and variables `T_…` into its first argument, then is a healthy server.
const DUMP: &str = r"
import http.server, json, os, sys
file, host, port, *words = sys.argv[1:]
values = {k: v for k, v in os.environ.items() if k.startswith('T_')}
with open(file, 'w') as out: json.dump([words, values], out)
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer((host, int(port)), Healthy).serve_forever()
";

#[test]
fn words_and_values_reach_programs_as_they_are() {
    let scene = small::scene("plain", 1);
    scene.write("dump.py", DUMP);
    let texts: Vec<&str> = CORPUS
        .iter()
        .copied()
        .filter(|text| text.chars().all(|c| c == '\n' || !is_hidden(c)))
        .collect();
    let quoted = |text: &str| written(&Value::from(text.replace('{', "{{")));
    let words: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    let set: Vec<String> = (0..)
        .zip(&words)
        .map(|(n, word): (usize, _)| format!("T_{n}: {word}"))
        .collect();
    let service = |name: &str, port: u16, launcher: &str| {
        format!(
            "  {name}: {{ node: box, port: {port}, launcher: {launcher}, ready: {{ http: / }}, env: {{ set: {{ {} }} }}, \
             command: [{}, dump.py, {name}.json, \"{{host}}\", \"{{port}}\", {}] }}\n",
            set.join(", "),
            python(),
            words.join(", "),
        )
    };
    let services = format!(
        "services:\n{}{}client_config:",
        service("plain", 8001, "process"),
        service("windowed", 8002, "tmux")
    );
    change(&scene, "client_config:", &services);
    scene.expect(0, &["up", YAML]);
    let values = (0..texts.len()).map(|n| (format!("T_{n}"), texts[n].into()));
    let wanted = Value::from(vec![
        Value::from(texts.clone()),
        Value::Object(values.collect()),
    ]);
    for name in ["plain", "windowed"] {
        let got: Value = serde_json::from_str(&scene.read(&format!("{name}.json"))).unwrap();
        assert_eq!(got, wanted, "{name}");
    }
    let made = below(&scene.path(""));
    let made = made
        .iter()
        .filter(|path| path.to_string_lossy().contains("PWNED"));
    assert_eq!(made.count(), 0);
    scene.assert_nothing_left();
}
