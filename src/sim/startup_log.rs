//! The lines that a starting vLLM writes, in its order. Pure.

use super::config::{FULL_REQUESTS, MEASURED, SimConfig};
use super::log::Writer;
use super::text::{camel, thousands};
use crate::knowledge::release::Release;

/// One line, at level INFO.
#[derive(Debug)]
pub(super) struct Line {
    /// Who writes it.
    pub(super) writer: Writer,
    /// The source file and line that it names.
    pub(super) place: &'static str,
    /// What it says.
    pub(super) text: String,
}

const ROUTES: [(&str, &str); 8] = [
    ("/health", "GET"),
    ("/ping", "GET, POST"),
    ("/tokenize", "POST"),
    ("/v1/models", "GET"),
    ("/version", "GET"),
    ("/v1/chat/completions", "POST"),
    ("/v1/completions", "POST"),
    ("/metrics", "GET"),
];
/// In the order of 0.32.
const ROUTES_MEASURED: [(&str, &str); 10] = [
    ("/version", "GET"),
    ("/health", "GET"),
    ("/metrics", "GET"),
    ("/tokenize", "POST"),
    ("/detokenize", "POST"),
    ("/v1/models", "GET"),
    ("/ping", "GET"),
    ("/ping", "POST"),
    ("/v1/chat/completions", "POST"),
    ("/v1/completions", "POST"),
];

/// The first thing that it says, and the place in the source.
pub(super) fn greeting(server: &SimConfig) -> (&'static str, String) {
    let SimConfig { release, model, .. } = server;
    if *release < MEASURED {
        let text = format!("vLLM API server version {release}");
        return ("api_server.py:1977", text);
    }
    let banner = format!(
        "\n       █     █     █▄   ▄█\n ▄▄ ▄█ █     █     █ ▀▄▀ █  version {release}\n  \
         █▄█▀ █     █     █     █  model   {model}\n   ▀▀  ▀▀▀▀▀ ▀▀▀▀▀ ▀     ▀\n\n"
    );
    ("api_utils.py:347", banner)
}

fn api(place: &'static str, text: impl Into<String>) -> Line {
    Line {
        writer: Writer::Api,
        place,
        text: text.into(),
    }
}

fn engine(place: &'static str, text: impl Into<String>) -> Line {
    Line {
        writer: Writer::Engine,
        place,
        text: text.into(),
    }
}

/// Every line between the arguments and `Application startup complete.`
pub(super) fn lines(server: &SimConfig) -> Vec<Line> {
    let SimConfig {
        release,
        max_model_len,
        model,
        ..
    } = server;
    let length = u64::from(*max_model_len);
    let architecture = server
        .model_type
        .as_deref()
        .map_or("Qwen3".to_owned(), camel);
    let mut lines = vec![
        api(
            "model.py:637",
            format!("Resolved architecture: {architecture}ForCausalLM"),
        ),
        api(
            "model.py:1750",
            format!("Using max model len {max_model_len}"),
        ),
        engine(
            "core.py:93",
            format!("Initializing a V1 LLM engine (v{release}) with config: model='{model}'"),
        ),
        engine(
            "gpu_model_runner.py:3259",
            format!("Starting to load model {model}..."),
        ),
        engine("default_loader.py:308", "Loading weights took 0.10 seconds"),
        engine(
            "gpu_model_runner.py:3338",
            "Model loading took 1.0000 GiB memory and 0.200000 seconds",
        ),
    ];
    lines.extend(cache(*release, length));
    let unit = if *release < MEASURED { "seconds" } else { "s" };
    lines.push(engine(
        "core.py:254",
        format!("init engine (profile, create kv cache, warmup model) took 0.10 {unit}"),
    ));
    lines.push(api("api_server.py:1725", "Supported tasks: ['generate']"));
    if server.auto_tool_choice {
        lines.push(api(
            "serving_chat.py:131",
            "\"auto\" tool choice has been enabled.",
        ));
    }
    let host = if server.host.is_empty() {
        "0.0.0.0"
    } else {
        &server.host
    };
    // Seen in 0.32; the samples up to 0.28 have the longer wording.
    let what = if *release < MEASURED {
        "API server 0"
    } else {
        "server"
    };
    lines.push(api(
        "api_server.py:2052",
        format!("Starting vLLM {what} on http://{host}:{}", server.port),
    ));
    lines.push(api("launcher.py:38", "Available routes are:"));
    let routes = if *release < MEASURED {
        &ROUTES[..]
    } else {
        &ROUTES_MEASURED[..]
    };
    let routes = routes
        .iter()
        .map(|(path, methods)| format!("Route: {path}, Methods: {methods}"));
    lines.extend(routes.map(|text| api("launcher.py:46", text)));
    lines
}

/// The size of the KV cache: two lines, one in 0.32. The simulator pretends that eight requests of full length fit.
fn cache(release: Release, length: u64) -> Vec<Line> {
    let size = format!(
        "GPU KV cache size: {} tokens",
        thousands(length * FULL_REQUESTS)
    );
    let concurrency = format!(
        "Maximum concurrency for {} tokens per request: {FULL_REQUESTS}.00x",
        thousands(length)
    );
    if release < MEASURED {
        return vec![
            engine("kv_cache_utils.py:1291", size),
            engine("kv_cache_utils.py:1296", concurrency),
        ];
    }
    vec![engine(
        "kv_cache_utils.py:1291",
        format!("{size}, {concurrency}"),
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_vllms() {
        let lines = lines(&SimConfig::new("m", "127.0.0.1", 1800));
        let at = |start: &str| {
            lines
                .iter()
                .position(|line| line.text.starts_with(start))
                .unwrap()
        };
        assert!(at("Resolved architecture") < at("Using max model len"));
        assert!(
            at("GPU KV cache size: 262,144 tokens")
                < at("Starting vLLM API server 0 on http://127.0.0.1:1800")
        );
    }
}
