//! Failure signatures: a line of a server's log or of an answer → its cause and its remedy.

use regex_lite::Regex;

use super::tables;

/// What kind of line a signature is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The error that ended the server.
    Cause,
    /// A line that only says "it died; the cause is above".
    Wrapper,
    /// Something that may precede a death, or mean nothing.
    Warning,
    /// A refused or failed request; the server lives on.
    Request,
}

/// One known failure.
#[derive(Debug)]
pub struct Failure {
    /// Its name: `port-in-use`.
    pub id: &'static str,
    /// A regex on one line.
    pub pattern: &'static str,
    /// Texts of which a matching line has at least one; tried before the regex.
    pub needles: &'static [&'static str],
    /// When it shows: `startup`, `runtime`, `startup|runtime` or `request`.
    pub phase: &'static str,
    /// What kind of line it is.
    pub kind: Kind,
    /// True where another try with the same settings ends the same way.
    pub permanent: bool,
    /// What went wrong.
    pub cause: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// The server's exit status, where known.
    pub exit_code: Option<u8>,
    /// The HTTP status of a failed request, where known.
    pub http_status: Option<u16>,
    /// Where this comes from.
    pub source: Option<&'static str>,
}

/// A line that carries a known failure.
#[derive(Debug, Clone)]
pub struct Match {
    /// The failure.
    pub failure: &'static Failure,
    /// The line's index among those given, from 0.
    pub line: usize,
    /// The line itself.
    pub text: String,
    /// What the groups of the pattern caught, in order; empty text for a group that took no part.
    pub captures: Vec<String>,
}

/// Every known failure; where two fit one line the first wins.
pub fn all() -> &'static [Failure] {
    tables::failures::FAILURES
}

/// The failure called `id`.
pub fn named(id: &str) -> Option<&'static Failure> {
    all().iter().find(|failure| failure.id == id)
}

/// A line of the access log, one that only informs, or a client's word on one of its questions: what died after it did not
/// die of it.
pub fn is_chatter(line: &str) -> bool {
    let named = line.trim_start().strip_prefix('(');
    let said = named.and_then(|rest| Some(rest.split_once(')')?.1));
    let said = said.unwrap_or(line).trim_start();
    let informs = ["INFO", "DEBUG"]
        .iter()
        .any(|level| said.starts_with(level));
    let asks = ["\"GET /", "\"POST /", "\"HEAD /"];
    let marks = said.contains("id=") && said.contains("status=");
    informs || marks || (said.contains(" HTTP/1") && asks.iter().any(|verb| said.contains(verb)))
}

/// The failure that one line carries.
pub fn classify_line(text: &str) -> Option<Match> {
    classify([text])
}

/// Why a server died, from its log lines in order: the first real cause; without one the first wrapper, then the
/// first warning, then the first failed request.
///
/// vLLM ends with "Engine core initialization failed. See root cause above.", so the last error of a log is the
/// least telling one.
pub fn classify<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<Match> {
    let mut patterns = Compiled::default();
    let mut best: Option<Match> = None;
    for (index, text) in lines.into_iter().enumerate() {
        let Some(found) = patterns.first_match(index, text) else {
            continue;
        };
        if found.failure.kind == Kind::Cause {
            return Some(found);
        }
        if best
            .as_ref()
            .is_none_or(|best| found.failure.kind < best.failure.kind)
        {
            best = Some(found);
        }
    }
    best
}

/// Regexes compiled on first need: a needle rarely hits, so most are never compiled.
struct Compiled(Vec<Option<Regex>>);

impl Default for Compiled {
    fn default() -> Self {
        Self(all().iter().map(|_| None).collect())
    }
}

impl Compiled {
    fn first_match(&mut self, line: usize, text: &str) -> Option<Match> {
        for (slot, failure) in self.0.iter_mut().zip(all()) {
            if !failure.needles.iter().any(|needle| text.contains(needle)) {
                continue;
            }
            if slot.is_none() {
                // A pattern that does not compile fails the test of the tables, never a user's run.
                *slot = Regex::new(failure.pattern).ok();
            }
            let Some(caught) = slot.as_ref().and_then(|regex| regex.captures(text)) else {
                continue;
            };
            let group = |at| {
                caught
                    .get(at)
                    .map_or_else(String::new, |hit| hit.as_str().to_owned())
            };
            let captures = (1..caught.len()).map(group).collect();
            return Some(Match {
                failure,
                line,
                text: text.to_owned(),
                captures,
            });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(line: &str) -> Option<&'static str> {
        classify_line(line).map(|found| found.failure.id)
    }

    #[test]
    fn every_pattern_compiles_and_has_a_needle() {
        for failure in all() {
            assert!(Regex::new(failure.pattern).is_ok(), "{}", failure.id);
            assert!(
                failure.needles.iter().all(|needle| needle.len() >= 4),
                "{}: {:?}",
                failure.id,
                failure.needles
            );
            assert!(!failure.needles.is_empty(), "{}", failure.id);
        }
    }

    #[test]
    fn measured_lines_are_classified() {
        let cases = [
            ("OSError: [Errno 98] Address already in use", "port-in-use"),
            (
                "vllm: error: unrecognized arguments: --disable-log-requests",
                "unknown-flag",
            ),
            (
                "KeyError: 'invalid tool call parser: hermez (chose from { apertus,xlam })'",
                "bad-tool-parser",
            ),
            (
                "TypeError: Error: --enable-auto-tool-choice requires --tool-call-parser",
                "auto-tool-without-parser",
            ),
            (
                "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name' or 'namespace/repo_name': '/models/nope'.",
                "model-path-missing",
            ),
            (
                "Value error, User-specified max_model_len (99999) is greater than the derived max_model_len (max_position_embeddings=2048.0 or model_max_length=None in model's config.json).",
                "max-len-too-big",
            ),
            (
                "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB",
                "cuda-oom",
            ),
            (
                "Hermes2ProToolParser.extract_tool_calls() got an unexpected keyword argument 'token_ids'",
                "gptoss-wrong-parser",
            ),
            (
                "ValueError: Free memory on device cuda:0 (31.44/47.38 GiB) on startup is less than desired GPU memory utilization (0.95, 45.01 GiB).",
                "gpu-busy",
            ),
            (
                "This model's maximum context length is 32768 tokens. However, your request has 80034 input tokens.",
                "ctx-overflow-0.11-0.14",
            ),
            (
                "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set",
                "auto-tool-missing",
            ),
            ("The model `x` does not exist.", "model-404"),
        ];
        for (line, expected) in cases {
            assert_eq!(id(line), Some(expected), "{line}");
        }
        assert_eq!(id("INFO 11-23 02:28:41 [launcher.py:186] Starting"), None);
    }

    #[test]
    fn the_wrapper_at_the_end_yields_to_the_cause_above() {
        let log = [
            "WARNING Found ulimit of 1024 and failed to automatically increase with error x.",
            "(EngineCore pid=7) ERROR ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization`",
            "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}",
        ];
        let found = classify(log).unwrap();
        assert_eq!(
            (found.failure.id, found.line, found.failure.permanent),
            ("no-kv-memory", 1, true)
        );
        assert_eq!(
            classify([log[0], log[2]]).unwrap().failure.id,
            "engine-core-init"
        );
        assert_eq!(classify([log[0]]).unwrap().failure.id, "ulimit");
    }

    #[test]
    fn an_access_log_tells_of_no_end() {
        for line in [
            r#"(APIServer pid=1) INFO:     127.0.0.1:54092 - "POST /v1/chat/completions HTTP/1.1" 200 OK"#,
            r#"127.0.0.1 - - [26/Nov/2026] "GET /health HTTP/1.1" 200 -"#,
            "INFO 11-26 13:39:27 [loggers.py:116] Engine 000: Avg prompt throughput: 0.0 tokens/s",
            "[HLE_TASK_COMPLETE] id=q-7 status=done",
        ] {
            assert!(is_chatter(line), "{line}");
        }
        for line in [
            "Segmentation fault",
            "(EngineCore pid=7) ERROR 11-26 boom",
            "all over",
        ] {
            assert!(!is_chatter(line), "{line}");
        }
    }

    #[test]
    fn groups_are_kept() {
        let found = classify_line("vllm: error: unrecognized arguments: --swap-space 4").unwrap();
        assert_eq!(found.captures, ["--swap-space 4"]);
    }
}
