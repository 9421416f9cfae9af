//! A client's own words about its calls, read as its log grows.

use super::lines::Lines;
use super::open_calls::{LongCalls, OpenCalls};
use crate::base::bounds::is_call_time;
use crate::base::nearest;
use crate::base::{Millis, Place, Timestamp};
use crate::facts::Degraded;
use crate::knowledge::adapters::CallLines;

/// Reads one log of a client.
#[derive(Debug)]
pub struct ClientLog {
    words: &'static CallLines,
    /// Models that the YAML declares; none if it leaves that open.
    declared: Option<Vec<String>>,
    lines: Lines,
    calls: OpenCalls,
    degraded: Degraded,
}

impl ClientLog {
    /// A reader that has read nothing; `declared` are the models that may be asked, none if all may be.
    pub fn new(words: &'static CallLines, declared: Option<Vec<String>>) -> Self {
        Self {
            words,
            declared,
            lines: Lines::default(),
            calls: OpenCalls::default(),
            degraded: Degraded::default(),
        }
    }

    /// Takes the next bytes of the log, read at `now`.
    pub fn feed(&mut self, bytes: &[u8], now: Timestamp) {
        let (words, calls) = (self.words, &mut self.calls);
        let (declared, degraded) = (&self.declared, &mut self.degraded);
        self.lines.feed(bytes, |line| {
            follow(words, calls, line, now);
            count(words, declared.as_deref(), degraded, line);
        });
    }

    /// What it tells of answers that are worse than they look.
    pub fn degraded(&self) -> &Degraded {
        &self.degraded
    }

    /// How many calls are under way.
    pub fn open_calls(&self) -> usize {
        self.calls.len()
    }

    /// Calls that wait for longer than their like take.
    pub fn long_calls(&self, now: Timestamp) -> Option<LongCalls> {
        self.calls.long(now)
    }
}

fn follow(words: &CallLines, calls: &mut OpenCalls, line: &str, now: Timestamp) {
    if let Some((_, rest)) = line.split_once(words.asks) {
        if let Some(id) = after(rest, words.id) {
            calls.asked(id, &endpoint(rest), now);
        }
    } else if words.answered.iter().any(|text| line.contains(text)) {
        if let Some(id) = after(line, words.id) {
            calls.answered(id, after(line, words.took).and_then(seconds));
        }
    } else if line.contains(words.failed) {
        calls.failed();
    }
}

fn count(words: &CallLines, declared: Option<&[String]>, degraded: &mut Degraded, line: &str) {
    if line.contains(words.retrieval_failed) {
        degraded.retrieval_failed += 1;
        return;
    }
    let named = after(line, words.external);
    let name = match named {
        Some(model) if declared.is_none_or(|all| all.iter().any(|known| known == model)) => None,
        Some(model) => Some(model),
        None => {
            let mut known = words.elsewhere.iter();
            known.find_map(|(text, name)| line.contains(text).then_some(*name))
        }
    };
    if let Some(name) = name {
        // Names of models come from the log: a few of them are all that there can be.
        if degraded.elsewhere.len() < 20 || degraded.elsewhere.contains_key(name) {
            *degraded.elsewhere.entry(name.to_owned()).or_default() += 1;
        }
    }
}

/// The word that follows a text.
pub(super) fn after<'a>(line: &'a str, text: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(text)?;
    let is_end = |c: char| c.is_whitespace() || matches!(c, ')' | ',');
    let word = rest.split(is_end).next()?;
    (!word.is_empty()).then_some(word)
}

/// `10.0.0.7:1800` of `http://10.0.0.7:1800/v1/chat/completions (model=…)`; empty where it is none.
pub(super) fn endpoint(rest: &str) -> String {
    let url = rest.split_whitespace().next().unwrap_or_default();
    Place::named(url).unwrap_or_default()
}

/// `12.3s`.
pub(super) fn seconds(text: &str) -> Option<Millis> {
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    let fits = is_call_time(seconds * 1_000.0);
    fits.then_some(Millis(nearest(seconds * 1_000.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::adapters;

    fn reader() -> ClientLog {
        let words = adapters::adapter("toolorchestra-hle").unwrap().calls;
        ClientLog::new(words.unwrap(), Some(vec!["gpt-5".to_owned()]))
    }

    /// As the client and its stand-in write it.
    const LOG: &str = "\
DEBUG: Calling vLLM at http://10.0.0.1:1800/v1/chat/completions (model=/ckpt/m/) req_id=1a
12:00 DEBUG: Calling vLLM at http://10.0.0.1:1801/v1/chat/completions (model=/ckpt/m/) req_id=1b
DEBUG: vLLM stream complete (took 2.50s, ttft 0.10s) req_id=1a
DEBUG: Calling OpenAI model=gpt-5 req_id=9
DEBUG: Calling vLLM at http://10.0.0.2:1820/v1/chat/completions (model=Qwen/Qwen3-32B-FP8) req_id=2
Error calling vLLM: Connection error.
Retry 1/5 in 5 seconds...
[search] WARNING: retrieval failed after 8 retries; continuing with empty results. last_err=refused
DEBUG: Calling OpenAI model=gpt-5-mini
Error calling Nebius API: 402
DEBUG: Calling Nebius model=Qwen/Qwen3-32B-fast
DEBUG: Calling vLLM at http://10.0.0.1:1801/v1/cha";

    #[test]
    fn the_known_client_tells_where_it_waits_and_what_went_wrong() {
        let mut log = reader();
        log.feed(LOG.as_bytes(), Timestamp(1_000));
        assert_eq!(log.open_calls(), 1);
        let long = log.long_calls(Timestamp(400_000)).unwrap();
        assert_eq!((long.endpoint.as_str(), long.calls), ("10.0.0.1:1801", 1));
        let degraded = log.degraded();
        assert_eq!(degraded.retrieval_failed, 1);
        let elsewhere = [("Nebius".to_owned(), 2), ("gpt-5-mini".to_owned(), 1)];
        assert_eq!(degraded.elsewhere, elsewhere.into());
    }

    #[test]
    fn words_that_are_not_there_break_nothing() {
        let mut log = reader();
        log.feed(b"DEBUG: Calling vLLM at \nvLLM stream complete\nvLLM request successful (took ?) req_id=\n", Timestamp(0));
        log.feed(b"DEBUG: Calling OpenAI model=\n\xff\xfe\n", Timestamp(0));
        assert_eq!((log.open_calls(), log.degraded().is_none()), (0, true));
    }
}
