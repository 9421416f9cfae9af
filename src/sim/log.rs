//! Log lines as vLLM writes them: its own logger and the access log on stdout, uvicorn's lifecycle on stderr.

use std::io::Write as _;

use super::config::SimConfig;
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
    on: bool,
    release: Release,
    pid: u32,
}

impl Log {
    /// The log of a server; silent unless its settings say otherwise.
    pub(super) fn new(server: &SimConfig) -> Self {
        Self {
            on: server.log,
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
        if !self.on {
            return;
        }
        let now = jiff::Zoned::now().strftime("%m-%d %H:%M:%S");
        let prefix = self.prefix(writer);
        for part in text.lines() {
            self.out(&format!("{prefix}{level} {now} [{place}] {part}\n"));
        }
    }

    /// A line of the access log.
    pub(super) fn access(self, remote: &str, method: &str, path: &str, status: u16, reason: &str) {
        if self.on {
            let prefix = self.prefix(Writer::Api);
            self.out(&format!(
                "{prefix}INFO:     {remote} - \"{method} {path} HTTP/1.1\" {status} {reason}\n"
            ));
        }
    }

    /// A lifecycle line of uvicorn.
    pub(super) fn uvicorn(self, text: &str) {
        if self.on {
            let line = format!("{}INFO:     {text}\n", self.prefix(Writer::Api));
            // A closed stderr is no reason for a server to end.
            std::io::stderr()
                .lock()
                .write_all(line.as_bytes())
                .unwrap_or_default();
        }
    }

    fn out(self, line: &str) {
        let mut stdout = std::io::stdout().lock();
        stdout
            .write_all(line.as_bytes())
            .and_then(|()| stdout.flush())
            .unwrap_or_default();
    }
}

/// The lines of a start, in vLLM's order; `(writer, place, text)`, all INFO.
pub(super) fn startup(server: &SimConfig) -> Vec<(Writer, &'static str, String)> {
    let SimConfig {
        release,
        max_model_len,
        ..
    } = server;
    let tokens = u64::from(*max_model_len) * 8;
    let architecture = server
        .model_type
        .as_deref()
        .map_or_else(|| "Qwen3ForCausalLM".to_owned(), architecture);
    let mut lines = vec![
        (
            Writer::Api,
            "model.py:637",
            format!("Resolved architecture: {architecture}"),
        ),
        (
            Writer::Api,
            "model.py:1750",
            format!("Using max model len {max_model_len}"),
        ),
        (
            Writer::Engine,
            "core.py:93",
            format!(
                "Initializing a V1 LLM engine (v{release}) with config: model='{}'",
                server.model
            ),
        ),
        (
            Writer::Engine,
            "gpu_model_runner.py:3259",
            format!("Starting to load model {}...", server.model),
        ),
        (
            Writer::Engine,
            "default_loader.py:308",
            "Loading weights took 0.10 seconds".to_owned(),
        ),
        (
            Writer::Engine,
            "gpu_model_runner.py:3338",
            "Model loading took 1.0000 GiB memory and 0.200000 seconds".to_owned(),
        ),
        (
            Writer::Engine,
            "kv_cache_utils.py:1291",
            format!("GPU KV cache size: {} tokens", thousands(tokens)),
        ),
        (
            Writer::Engine,
            "kv_cache_utils.py:1296",
            format!(
                "Maximum concurrency for {} tokens per request: 8.00x",
                thousands(u64::from(*max_model_len))
            ),
        ),
        (
            Writer::Engine,
            "core.py:254",
            "init engine (profile, create kv cache, warmup model) took 0.10 seconds".to_owned(),
        ),
        (
            Writer::Api,
            "api_server.py:1725",
            "Supported tasks: ['generate']".to_owned(),
        ),
    ];
    if server.auto_tool_choice {
        lines.push((
            Writer::Api,
            "serving_chat.py:131",
            "\"auto\" tool choice has been enabled.".to_owned(),
        ));
    }
    let host = if server.host.is_empty() {
        "0.0.0.0"
    } else {
        &server.host
    };
    let address = format!("http://{host}:{}", server.port);
    let starting = if *release < Release::new(0, 30, 0) {
        format!("Starting vLLM API server 0 on {address}")
    } else {
        format!("Starting vLLM server on {address}")
    };
    lines.push((Writer::Api, "api_server.py:2052", starting));
    lines.push((
        Writer::Api,
        "launcher.py:38",
        "Available routes are:".to_owned(),
    ));
    for (path, methods) in [
        ("/health", "GET"),
        ("/ping", "GET, POST"),
        ("/tokenize", "POST"),
        ("/v1/models", "GET"),
        ("/version", "GET"),
        ("/v1/chat/completions", "POST"),
        ("/v1/completions", "POST"),
        ("/metrics", "GET"),
    ] {
        lines.push((
            Writer::Api,
            "launcher.py:46",
            format!("Route: {path}, Methods: {methods}"),
        ));
    }
    lines
}

fn architecture(model_type: &str) -> String {
    let words = model_type.split('_').map(|word| {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        first.to_uppercase() + rest
    });
    words.collect::<String>() + "ForCausalLM"
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(thousands(4_194_304), "4,194,304");
        assert_eq!(thousands(999), "999");
    }

    #[test]
    fn the_order_is_vllms() {
        let texts: Vec<String> = startup(&SimConfig::new("m", "127.0.0.1", 1800))
            .into_iter()
            .map(|(_, _, text)| text)
            .collect();
        let at = |start: &str| {
            texts
                .iter()
                .position(|text| text.starts_with(start))
                .unwrap()
        };
        assert!(at("Resolved architecture") < at("Using max model len"));
        assert!(
            at("GPU KV cache size: 262,144 tokens")
                < at("Starting vLLM API server 0 on http://127.0.0.1:1800")
        );
    }
}
