//! Where a client's calls go, with real sockets.

use std::io::{Read as _, Write as _};
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

/// A listener at an address that is in no plan, outside of the networks of scenes.
fn listener(end: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind(format!("127.0.{end}:0")).unwrap();
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
    let (_declared, friend) = listener("77.1");
    let (_undeclared, stranger) = listener("77.2");
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

    // The results do not become better by being asked for once more.
    let later = scene.expect(7, &["up", YAML]);
    let here = later.err.replace(&stranger, "STRANGER");
    assert!(here.contains("its client called STRANGER"), "{here}");
    let nothing = "every question has its result already: nothing was started";
    assert!(here.contains(nothing), "{here}");
    let stranger = format!("  stranger: {{ url: \"http://{stranger}/v1\" }}\nclient_config:");
    small::change(&scene, "client_config:", &stranger);
    // What an evaluation requires is part of what its results depend on; this is declared and no more.
    let requires = "requires: [chat, outside-0]\n    dataset:";
    small::change(&scene, "dataset:", requires);
    scene.expect(0, &["up", YAML]);
}

/// What a client learns of its way out: a line for each place, then its results.
const LEAVER: &str = r#"
import http.client, json, os, socket, sys, urllib.error, urllib.request

def plain(place):
    try:
        return urllib.request.urlopen("http://%s/" % place, timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code

def tunnel(place):
    host, port = place.rsplit(":", 1)
    proxy = http.client.HTTPConnection(os.environ["HTTPS_PROXY"].split("//")[1], timeout=5)
    proxy.set_tunnel(host, int(port))
    try:
        proxy.request("GET", "/")
        return proxy.getresponse().status
    except OSError as error:
        return error

for place in sys.argv[3:]:
    print(place, plain(place), tunnel(place), flush=True)
os.makedirs(sys.argv[2], exist_ok=True)
for line in open(sys.argv[1]):
    id = json.loads(line)["id"]
    with open("%s/%s.json" % (sys.argv[2], id), "w") as file:
        json.dump({"id": id, "status": "done"}, file)
    print("SUM_DONE id=%s status=done" % id, flush=True)
print("keys:", [name for name in os.environ if name.endswith("_KEY")])
"#;

/// Answers every request with `200 OK` as long as the test runs.
fn answering(listener: TcpListener) {
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
}

#[test]
fn a_proxy_lets_out_what_is_declared_and_tells_of_what_it_refused() {
    let scene = small::scene("plain", 4);
    let (declared, friend) = listener("77.1");
    answering(declared);
    let place = format!("{}1.1:8000", scene.network());
    scene.write("client.py", LEAVER);
    small::change(
        &scene,
        "command: [bash, client.sh, \"{dataset}\", \"{results}\"]",
        &format!(
            "command: [python3, client.py, \"{{dataset}}\", \"{{results}}\", \"{friend}\", \"{place}\", \"api.nobody.example:443\"]\n    egress: proxy"
        ),
    );
    small::change(
        &scene,
        "env: { set: { MODE: plain } }",
        "env: { setup: [export NEBIUS_API_KEY=canary] }",
    );
    let externals =
        format!("externals: {{ friend: {{ url: \"http://{friend}/v1\" }} }}\nclient_config:");
    small::change(&scene, "client_config:", &externals);
    small::change(&scene, "first_result: 2s", "first_result: 60s");
    let said = scene.run(&["up", YAML]);
    assert_eq!(said.code, 7, "{}", said.err);
    assert_eq!(scene.results("out"), 4);
    let log = scene.read("home/runs/small/latest/logs/eval-sums.log");
    let here = |text: &str| text.replace(&friend, "FRIEND").replace(&place, "SERVER");
    let lines: Vec<String> = log
        .lines()
        .filter(|line| !line.starts_with("SUM_DONE"))
        .map(here)
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
        FRIEND 200 200
        SERVER 404 404
        api.nobody.example:443 403 Tunnel connection failed: 403 Not declared
        keys: []
        ");
    let calls: Vec<String> = scene
        .journal("small")
        .iter()
        .map(|record| &record["event"])
        .filter(|event| event["kind"] == "outside-call" || event["kind"] == "routed")
        .map(|event| match event["kind"].as_str() {
            Some("routed") => format!("dropped {}", event["dropped"]),
            _ => format!("{} {} {}", event["place"], event["seen"], event["times"]),
        })
        .collect();
    insta::assert_snapshot!(calls.join("\n"), @r#"
        "api.nobody.example:443" "refused" 2
        dropped ["NEBIUS_API_KEY"]
        "#);
    assert_eq!(alarms(&scene, "outside-call").len(), 1);
    let proxy = scene.read("home/runs/small/latest/logs/egress-sums.log");
    let passed = proxy.lines().rfind(|line| line.contains("passed"));
    let passed: Value = serde_json::from_str(passed.unwrap()).unwrap();
    assert_eq!(passed["passed"][&friend], 2);
    assert_eq!(
        passed["passed"][&place], 1,
        "its tunnel: plain calls of servers go directly"
    );
    scene.assert_nothing_left();
}

/// Asks two models, and reports one call too few of `left`, one too many of `right`, and a place of nobody.
const LIAR: &str = r#"
import json, os, random, sys, time, urllib.request
config = json.load(open(sys.argv[3]))
os.makedirs(sys.argv[2], exist_ok=True)

def ask(model):
    place = random.choice(config[model])
    url = "http://%s:%s/v1/chat/completions" % (place["ip_addr"], place["port"])
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).read()
    return {"model": model, "endpoint": "%s:%s" % (place["ip_addr"], place["port"]), "ms": 1}

for line in open(sys.argv[1]):
    id = json.loads(line)["id"]
    calls = [ask(model) for model in ("left", "right", "fair")]
    if id == "q-1":
        ask("left")
        calls.append(dict(calls[1], endpoint="api.nobody.example:443"))
        while not os.path.exists("go"):
            time.sleep(0.05)
    with open("%s/%s.json" % (sys.argv[2], id), "w") as file:
        json.dump({"id": id, "status": "done", "calls": calls}, file)
    print("SUM_DONE id=%s status=done" % id, flush=True)
"#;

#[test]
fn books_show_calls_that_nobody_reports_and_calls_that_went_elsewhere() {
    let scene = small::scene("plain", 6);
    scene.write("client.py", LIAR);
    small::change(
        &scene,
        "command: [bash, client.sh, \"{dataset}\", \"{results}\"]",
        "command: [python3, client.py, \"{dataset}\", \"{results}\", \"{config}\"]",
    );
    let model = |name: &str, port: u16| {
        format!("{name}: {{ engine: sim, model: {name}, node: box, port: {port} }}\n")
    };
    let chat = "chat: { engine: sim, model: Qwen/Qwen3-8B, node: box, port: 8000 }\n";
    let models = [
        model("left", 8000),
        model("right", 8010),
        model("fair", 8020),
    ];
    small::change(&scene, chat, &models.join("  "));
    small::change(&scene, "first_result: 2s", "first_result: 60s");
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("a result", || (scene.results("out") > 0).then_some(()));
    // What we ask ourselves meanwhile is ours.
    scene.expect(0, &["probe", YAML]);
    scene.write("go", "");
    let said = up.end();
    assert_eq!(said.code, 0, "{}", said.err);
    let books = said.out.split_once("books:").unwrap().1;
    let books: Vec<&str> = books.lines().take(6).collect();
    insta::assert_snapshot!(books.join("\n"), @r"
         requests of this run
        model  served  ours  reported  failed
        left        8     1         6       0  not balanced: 1 request that nobody reports
        right       7     1         7       0  not balanced: 1 call went elsewhere, for no server finished them
        fair        7     1         6       0  balanced
        by its own report a client called api.nobody.example:443, once: NOT DECLARED
        ");
    scene.assert_nothing_left();
}

/// Holds a connection to each server that its configuration names, and works when it may: `go-PORT` is there.
const HOLDER: &str = r#"
import json, os, socket, sys, time
places = [(place["ip_addr"], int(place["port"])) for place in json.load(open(sys.argv[3]))["Qwen/Qwen3-8B"]]
lines = [socket.create_connection(place) for place in places]
print("called", flush=True)
while not all(os.path.exists("go-%s" % port) for _, port in places):
    time.sleep(0.05)
os.makedirs(sys.argv[2], exist_ok=True)
for line in open(sys.argv[1]):
    id = json.loads(line)["id"]
    with open("%s/%s.json" % (sys.argv[2], id), "w") as file:
        json.dump({"id": id, "status": "done"}, file)
    print("SUM_DONE id=%s status=done" % id, flush=True)
"#;

#[test]
fn servers_that_a_running_client_was_told_of_are_declared_until_it_is_started_anew() {
    let scene = small::scene("plain", 4);
    scene.write("client.py", HOLDER);
    small::change(
        &scene,
        "command: [bash, client.sh, \"{dataset}\", \"{results}\"]",
        "command: [python3, client.py, \"{dataset}\", \"{results}\", \"{config}\"]",
    );
    small::change(&scene, "first_result: 2s", "first_result: 60s");
    small::change(&scene, "port: 8000", "port: 8000, replicas: 2");
    let up = scene.go(scene.toolorch(&["up", YAML]));
    until("the connections", || {
        let log = scene.path("home/runs/small/latest/logs/eval-sums.log");
        let log = std::fs::read_to_string(log).ok()?;
        log.contains("called").then_some(())
    });
    up.signal(Signal::INT);
    assert_eq!(up.end().code, 130);
    // One server moves, the other is gone.
    small::change(&scene, "port: 8000, replicas: 2", "port: 8100");
    scene.write("go-8100", "");
    let said = scene.expect(0, &["up", YAML]);
    assert!(alarms(&scene, "outside-call").is_empty(), "{}", said.err);
    assert_eq!(scene.results("out"), 4);
    scene.assert_nothing_left();
}
