//! Log lines as vLLM writes them: its own logger and the access log on stdout, uvicorn's lifecycle on stderr.

use std::io::Write as _;

use super::config::{Logging, MEASURED, SimConfig};
use crate::knowledge::release::Release;

/// Who writes a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// The API server.
    Api,
    /// The engine.
    Engine,
}

/// Where a server's lines go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Log {
    what: Logging,
    release: Release,
    pid: u32,
}

impl Log {
    /// The log of a server; silent unless its settings say otherwise.
    pub(super) fn new(server: &SimConfig) -> Self {
        Self {
            what: server.log,
            release: server.release,
            pid: std::process::id(),
        }
    }

    fn prefix(self, writer: Writer) -> String {
        if self.release < Release::new(0, 10, 1) {
            return String::new();
        }
        let name = match writer {
            Writer::Api => "APIServer",
            Writer::Engine if self.release < Release::new(0, 14, 0) => "EngineCore_DP0",
            Writer::Engine => "EngineCore",
        };
        format!("({name} pid={}) ", self.pid)
    }

    /// A line of vLLM's logger: `(APIServer pid=7) INFO 11-23 02:28:41 [launcher.py:186] text`.
    pub(super) fn line(self, writer: Writer, level: &str, place: &str, text: &str) {
        if !self.what.lines {
            return;
        }
        let now = jiff::Zoned::now().strftime("%m-%d %H:%M:%S");
        let prefix = self.prefix(writer);
        for part in text.lines() {
            out(format!("{prefix}{level} {now} [{place}] {part}\n").as_bytes());
        }
    }

    /// Lines without time or place, such as Python's of an exception: `(APIServer pid=7) text`, on stderr.
    pub(super) fn bare(self, writer: Writer, text: &str) {
        if !self.what.lines {
            return;
        }
        let prefix = self.prefix(writer);
        let lines: Vec<String> = text.lines().map(|part| prefix.clone() + part).collect();
        let lines = lines.join("\n") + "\n";
        // A closed stderr is no reason for a server to end.
        std::io::stderr()
            .lock()
            .write_all(lines.as_bytes())
            .unwrap_or_default();
    }

    /// Bytes as they are.
    pub(super) fn bytes(self, bytes: &[u8]) {
        if self.what.lines {
            out(bytes);
        }
    }

    /// What stands before uvicorn's lines: nothing in 0.32.
    fn before_uvicorn(self) -> String {
        if self.release < MEASURED {
            self.prefix(Writer::Api)
        } else {
            String::new()
        }
    }

    /// A line of the access log.
    pub(super) fn access(self, remote: &str, method: &str, path: &str, status: u16, reason: &str) {
        if self.what.access {
            let prefix = self.before_uvicorn();
            let line = format!(
                "{prefix}INFO:     {remote} - \"{method} {path} HTTP/1.1\" {status} {reason}\n"
            );
            out(line.as_bytes());
        }
    }

    /// A lifecycle line of uvicorn.
    pub(super) fn uvicorn(self, text: &str) {
        if self.what.lines {
            let line = format!("{}INFO:     {text}\n", self.before_uvicorn());
            // A closed stderr is no reason for a server to end.
            std::io::stderr()
                .lock()
                .write_all(line.as_bytes())
                .unwrap_or_default();
        }
    }
}

fn out(line: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(line)
        .and_then(|()| stdout.flush())
        .unwrap_or_default();
}
