//! `toolorch sim proxy` between clients and servers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread::JoinHandle;

use serde_json::Value;

use super::{Running, rest_of};

fn proxy() -> Running {
    Running::start(&["proxy"], &[])
}

/// The first line of an answer, and its body.
fn parts(answer: &str) -> (&str, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap(), body)
}

/// A server for one connection: reads a head and `body` bytes, answers, then reads what else comes. Returns all that it read.
fn server(body: usize, answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut seen = String::new();
        while !seen.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut seen).unwrap() > 0, "{seen}");
        }
        let mut bytes = vec![0; body];
        stream.read_exact(&mut bytes).unwrap();
        seen.push_str(&String::from_utf8(bytes).unwrap());
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
        stream
            .get_mut()
            .shutdown(std::net::Shutdown::Write)
            .unwrap();
        seen + &rest_of(&mut stream)
    });
    (address, thread)
}

#[test]
fn what_would_leave_is_refused_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("outside.jsonl");
    std::fs::write(&log, "an older line\n").unwrap();
    let mut proxy = Running::start(&["proxy", "--log", log.to_str().unwrap()], &[]);
    let requests = [
        "CONNECT api.openai.com:443 HTTP/1.1\r\nProxy-Authorization: Basic c2VjcmV0\r\n\r\n",
        "CONNECT 127.0.0.1.nip.io:443 HTTP/1.1\r\n\r\n",
        "GET http://u:secret@api.x.com/v1/search?key=secret HTTP/1.1\r\nAuthorization: Bearer secret\r\n\r\n",
        "POST https://api.x.com/v1 HTTP/1.1\r\nContent-Length: 6\r\n\r\nsecret",
        "CONNECT api.openai.com:443 HTTP/1.0\r\n\r\n",
    ];
    for request in requests {
        let answer = proxy.exchange(request.as_bytes());
        let (first, body) = parts(&answer);
        assert_eq!(first, "HTTP/1.1 403 Rehearsal: nothing leaves this machine");
        assert!(body.contains("nothing leaves the machine"), "{body}");
    }
    let written = std::fs::read_to_string(&log).unwrap();
    assert!(!written.contains("secret"), "{written}");
    let said: String = (0..requests.len()).map(|_| proxy.line()).collect();
    assert_eq!(written, format!("an older line\n{said}"));
    let lines: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines
            .iter()
            .all(|line| line["from_port"].as_u64().unwrap() > 0)
    );
    let shown: Vec<String> = lines
        .iter()
        .map(|line| {
            format!(
                "{} {}:{} {}",
                line["method"], line["host"], line["port"], line["path"]
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    "CONNECT" "api.openai.com":443 null
    "CONNECT" "127.0.0.1.nip.io":443 null
    "GET" "api.x.com":80 "/v1/search"
    "POST" "api.x.com":443 "/v1"
    "CONNECT" "api.openai.com":443 null
    "#);
    let places = toolorch::eval::outside_of(&written);
    assert_eq!(
        (places[0].host.as_str(), places[0].times),
        ("api.openai.com", 2)
    );
    assert_eq!(places.len(), 4);
    assert_eq!(proxy.terminate(), Some(0));
}

#[test]
fn a_request_to_this_machine_is_passed_on_and_nothing_after_it() {
    let proxy = proxy();
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: keep-alive\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi";
    let (address, server) = server(4, answer);
    let request = format!(
        "POST http://{address}/v1/x?q=1 HTTP/1.1\r\nHost: {address}\r\nProxy-Connection: keep-alive\r\n\
         Content-Length: 4\r\n\r\nbodyGET http://api.x.com/ HTTP/1.1\r\n\r\n"
    );
    assert_eq!(
        proxy.exchange(request.as_bytes()),
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nx-a: b\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"
    );
    let seen = server.join().unwrap().replace(&address, "ADDRESS");
    assert_eq!(
        seen,
        "POST /v1/x?q=1 HTTP/1.1\r\nhost: ADDRESS\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody"
    );
}

#[test]
fn a_body_in_chunks_is_passed_on() {
    let proxy = proxy();
    let chunks = "4\r\nbody\r\n0\r\n\r\n";
    let (address, server) = server(chunks.len(), "HTTP/1.0 204 No Content\r\n\r\n");
    let port = address.rsplit(':').next().unwrap();
    let head =
        format!("PUT http://localhost:{port} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut stream = proxy.connect();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(chunks.as_bytes()).unwrap();
    assert!(rest_of(&mut stream).starts_with("HTTP/1.0 204"));
    drop(stream);
    let seen = server.join().unwrap();
    assert!(
        seen.starts_with("PUT / HTTP/1.1\r\n") && seen.ends_with(chunks),
        "{seen}"
    );
}

#[test]
fn a_tunnel_to_this_machine_carries_both_ways() {
    let proxy = proxy();
    let (address, server) = server(0, "pong");
    let mut stream = proxy.connect();
    // What comes along with the request for a tunnel belongs into it.
    let start = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\nping\r\n");
    stream.write_all(start.as_bytes()).unwrap();
    stream.write_all(b"\r\n").unwrap();
    let answer = rest_of(&mut stream);
    assert_eq!(answer, "HTTP/1.1 200 Connection established\r\n\r\npong");
    drop(stream);
    assert_eq!(server.join().unwrap(), "ping\r\n\r\n");
}

#[test]
fn a_client_that_leaves_takes_its_request_along() {
    let proxy = proxy();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = proxy.connect();
    let request = format!("GET http://{address}/slow HTTP/1.1\r\n\r\n");
    client.write_all(request.as_bytes()).unwrap();
    let mut stream = listener.accept().unwrap().0;
    drop(client);
    assert!(rest_of(&mut stream).starts_with("GET /slow HTTP/1.1"));
}

#[test]
fn what_is_no_request_is_refused_and_holds_nobody_up() {
    let proxy = proxy();
    let mut half = proxy.connect();
    half.write_all(b"GET http://").unwrap();
    let mut silent: Vec<TcpStream> = (0..20).map(|_| proxy.connect()).collect();
    let line = format!("GET http://localhost/{} HTTP/1.1\r\n", "x".repeat(200_000));
    let headers = format!(
        "GET http://localhost/ HTTP/1.1\r\n{}",
        "a: b\r\n".repeat(20_000)
    );
    let free = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let all: Vec<String> = [
        line.as_bytes(),
        headers.as_bytes(),
        &[0x16, 3, 1, 2, 0, 1, 0, 1],
        &[5, 1, 0],
        b"A\xff\xfe\x00 \r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\n\r\n",
        b"POST http://localhost/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET https://localhost:8443/ HTTP/1.1\r\n\r\n",
        format!("CONNECT {free} HTTP/1.1\r\n\r\n").as_bytes(),
    ]
    .iter()
    .map(|bytes| {
        let answer = proxy.exchange(bytes);
        let (first, body) = parts(&answer);
        format!("{first}: {}", body.trim_end()).replace(&free, "ADDRESS")
    })
    .collect();
    insta::assert_snapshot!(all.join("\n"), @"
    HTTP/1.1 431 Request Header Fields Too Large: the head of the request is too large
    HTTP/1.1 431 Request Header Fields Too Large: the head of the request is too large
    HTTP/1.1 400 Bad Request: this is an HTTP proxy: send `CONNECT host:port` or `GET http://host/path`
    HTTP/1.1 400 Bad Request: this is an HTTP proxy: send `CONNECT host:port` or `GET http://host/path`
    HTTP/1.1 400 Bad Request: this is an HTTP proxy: send `CONNECT host:port` or `GET http://host/path`
    HTTP/1.1 400 Bad Request: this is an HTTP proxy: send `CONNECT host:port` or `GET http://host/path`
    HTTP/1.1 200 OK: the proxy of a rehearsal by toolorch: nothing leaves this machine
    HTTP/1.1 400 Bad Request: this is an HTTP proxy: send `CONNECT host:port` or `GET http://host/path`
    HTTP/1.1 400 Bad Request: this is an HTTP proxy: send `CONNECT host:port` or `GET http://host/path`
    HTTP/1.1 501 Not Implemented: `localhost:8443` is on this machine: ask for a tunnel with CONNECT, or for http://
    HTTP/1.1 502 Bad Gateway: `ADDRESS` on this machine cannot be reached: Connection refused (os error 111)
    ");
    // Those who said nothing yet are still heard.
    half.write_all(b"api.x.com/ HTTP/1.1\r\n\r\n").unwrap();
    assert!(rest_of(&mut half).starts_with("HTTP/1.1 403"));
    let last = silent.last_mut().unwrap();
    last.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(rest_of(last).starts_with("HTTP/1.1 200"));
}

/// A client that nobody here wrote.
#[test]
fn python_is_refused_outside_and_served_inside() {
    const SCRIPT: &str = r#"
import json, sys, urllib.error, urllib.request
try:
    urllib.request.urlopen("https://api.openai.com/v1/models", timeout=60)
except urllib.error.URLError as error:
    print(error.reason)
try:
    urllib.request.urlopen("http://api.x.com/v1?key=secret", timeout=60)
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode().strip())
body = json.dumps({"queries": ["12 + 30"], "topk": 1}).encode()
asked = urllib.request.Request(sys.argv[1] + "/retrieve", body, {"content-type": "application/json"})
print(len(json.load(urllib.request.urlopen(asked, timeout=60))[0]))
"#;
    let mut proxy = proxy();
    let service = Running::start(&["service"], &[]);
    let url = format!("http://{}", proxy.address);
    let output = Command::new("python3")
        .args(["-c", SCRIPT, &format!("http://{}", service.address)])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs([("HTTPS_PROXY", &url), ("http_proxy", &url)])
        .output()
        .unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @"
    Tunnel connection failed: 403 Rehearsal: nothing leaves this machine
    403 this is a rehearsal by toolorch and nothing leaves the machine: `api.x.com:80` was not contacted, and is reported
    1
    ");
    let lines = proxy.line() + &proxy.line();
    let places = toolorch::eval::outside_of(&lines);
    assert_eq!(places.len(), 2, "{lines}");
    assert!(!lines.contains("secret"), "{lines}");
}
