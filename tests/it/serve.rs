//! `toolorch serve`: the live page, asked by hand and looked at in a real browser.

mod page;
mod stream;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::up::Scene;
use crate::up::scene::{Going, until};

/// The page of a run, and the port at which it is.
struct Served {
    going: Going,
    port: u16,
}

impl Served {
    /// Serves the scene's only run.
    fn start(scene: &Scene) -> Self {
        let going = scene.go(scene.toolorch(&["serve"]));
        let port = until("a URL", || {
            let out = going.out();
            let port = out.strip_prefix("http://127.0.0.1:")?.strip_suffix("/\n")?;
            port.parse().ok()
        });
        Self { going, port }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).unwrap()
    }

    /// The answer to a request that names this host: its head and its body.
    fn ask(&self, method: &str, path: &str, host: &str) -> (String, String) {
        let mut stream = self.connect();
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    fn get(&self, path: &str) -> (String, String) {
        self.ask("GET", path, "localhost")
    }

    fn state(&self) -> Value {
        let (head, body) = self.get("/state");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        serde_json::from_str(&body).unwrap()
    }
}
