//! `observe`: one line of JSON from /proc alone.

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};

use super::lab::{Lab, kill, python, wait_for};

#[test]
fn a_server_and_its_worker_are_seen_as_they_are() {
    let line = r"
import os, socket, sys, time
server = socket.create_server(('127.0.0.1', 0))
out = [socket.create_connection(('127.0.0.1', int(sys.argv[1]))) for _ in range(2)]
client = socket.create_connection(server.getsockname())
if os.fork() == 0:
    open('/proc/self/comm', 'w').write('a) S \x22\\\n(x')
    files = [open('/dev/null') for _ in range(40)]
    os.makedirs('results/sub'); open('results/a.json', 'w').write('123'); open('results/b.json', 'w').write('4567')
    open('port.tmp', 'w').write(str(server.getsockname()[1])); os.rename('port.tmp', 'port')
    time.sleep(60)
time.sleep(60)
";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap();
    let lab = Lab::with(
        &[python(), "-c", line, &remote.port().to_string()],
        |unit| {
            unit.results_dir = Some("results".to_owned());
        },
    );
    let running = lab.start("--generation 3 --epoch 2 --launch L");
    let port: u16 = wait_for("the worker", || {
        fs::read_to_string(lab.path().join("port")).ok()
    })
    .parse()
    .unwrap();
    let seen = lab.observe();
    let program = running.program();
    assert_eq!(
        pick(
            &seen,
            "format unit run generation epoch launch phase supervised pid exit_code signal requested reason log_bytes"
        ),
        json!({
            "format": 1, "unit": "u", "run": lab.run(), "generation": 3, "epoch": 2, "launch": "L", "phase": "running",
            "supervised": true, "pid": program, "exit_code": null, "signal": null, "requested": null, "reason": null,
            "log_bytes": 0,
        })
    );
    let processes = seen["processes"].as_array().unwrap();
    assert_eq!(processes.len(), 2, "{seen}");
    let worker = processes
        .iter()
        .find(|process| process["pid"] != program)
        .unwrap();
    assert_eq!(worker["comm"], "a) S \"\\?(x");
    assert_eq!(worker["ppid"], program);
    assert_eq!(worker["state"], "S");
    assert!(worker["rss_kib"].as_u64().unwrap() > 1000, "{worker}");
    assert_eq!(seen["listening"], json!([port]));
    let mut remotes: Vec<&str> = seen["remotes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    remotes.sort_unstable();
    let mut expected = [format!("127.0.0.1:{port}"), remote.to_string()];
    expected.sort();
    assert_eq!(remotes, expected);
    assert_eq!(seen["fds"]["max_pid"], worker["pid"]);
    assert!(seen["fds"]["open"].as_u64().unwrap() >= 43, "{seen}");
    assert_eq!(
        seen["fds"]["limit"].as_u64().unwrap().to_string(),
        lab.state("nofile").unwrap()
    );
    assert_eq!(
        pick(&seen["results"], "files bytes"),
        json!({"files": 2, "bytes": 7})
    );
    let age = seen["at"].as_u64().unwrap() - seen["results"]["newest_at"].as_u64().unwrap();
    assert!(age < 60_000, "{seen}");
}

#[test]
fn every_phase_has_a_line() {
    let lab = Lab::new(&["sh", "-c", "echo some words; exec sleep 60"]);
    let never = lab.observe();
    assert_eq!(
        pick(&never, "phase unit generation pid supervised processes"),
        json!({
            "phase": "never", "unit": "u", "generation": null, "pid": null, "supervised": false, "processes": [],
        })
    );
    let running = lab.start("");
    wait_for("the words", || {
        Some(()).filter(|()| !lab.read("log").is_empty())
    });
    assert_eq!(lab.observe()["log_bytes"], 11);
    kill("STOP", running.program());
    wait_for("the stop", || {
        Some(()).filter(|()| lab.observe()["processes"][0]["state"] == "T")
    });
    lab.say("stop --grace 1");
    running.wait();
    let exited = lab.observe();
    assert_eq!(
        pick(
            &exited,
            "phase exit_code signal requested supervised processes"
        ),
        json!({
            "phase": "exited", "exit_code": 143, "signal": "SIGTERM", "requested": true, "supervised": false, "processes": [],
        })
    );
    assert!(exited["fds"].is_object() && exited["results"].is_null());
}

#[test]
fn ipv6_remotes_can_be_parsed() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        return;
    };
    let address = listener.local_addr().unwrap();
    let line = "import socket, sys, time\ns = socket.create_connection(('::1', int(sys.argv[1])))\nopen('ready', 'w')\ntime.sleep(60)";
    let lab = Lab::new(&[python(), "-c", line, &address.port().to_string()]);
    let _running = lab.start("");
    wait_for("the connection", || {
        lab.path().join("ready").exists().then_some(())
    });
    let seen = lab.observe();
    let remote: std::net::SocketAddr = seen["remotes"][0].as_str().unwrap().parse().unwrap();
    assert_eq!(remote, address);
}

#[test]
fn an_idle_unit_stops_itself() {
    let lab = Lab::with(&["sleep", "60"], |unit| unit.idle_s = Some(1));
    let running = lab.start("");
    assert_eq!(running.wait().code, Some(0));
    assert_eq!(
        lab.states("phase requested reason"),
        "phase=exited requested=1 reason=idle for 1 s"
    );
}

/// A tunnel listens at several ports, and clients may need the last of them alone.
#[test]
fn who_is_connected_to_any_of_its_ports_keeps_a_unit_from_being_idle() {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (one, two) = (free(), free());
    let [first, second] = [&one, &two].map(|held| held.local_addr().unwrap().port());
    drop((one, two));
    let serve = "import socket, sys, time\ns = [socket.create_server(('127.0.0.1', int(p))) for p in sys.argv[1:]]\ntime.sleep(60)";
    let ports = [first, second].map(|port| port.to_string());
    let lab = Lab::with(&[python(), "-c", serve, &ports[0], &ports[1]], |unit| {
        unit.idle_s = Some(5);
        unit.host = Some("127.0.0.1".to_owned());
        unit.port = Some(first);
        unit.more_ports = vec![second];
    });
    let mut running = lab.command("run");
    let mut running = running.env("TOOLORCH_TIME_SCALE", "10").spawn().unwrap();
    let client = wait_for("the port", || {
        std::net::TcpStream::connect(("127.0.0.1", second)).ok()
    });
    let alone = wait_for("half a minute alone", || {
        let alone = lab.read("alone");
        alone.contains("alone_ms=").then_some(alone)
    });
    assert!(alone.contains("quiet_ms=0\n"), "{alone}");
    drop(client);
    assert_eq!(running.wait().unwrap().code(), Some(0));
    assert_eq!(lab.states("reason"), "reason=idle for 5 s");
}

/// Only these keys of an object.
fn pick(value: &Value, keys: &str) -> Value {
    keys.split_whitespace()
        .map(|key| (key.to_owned(), value[key].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
