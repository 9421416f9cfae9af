//! Times of calls as a client's log on standard output tells them, where it keeps no better one.

use std::collections::BTreeMap;

use super::client_log::{after, endpoint, seconds};
use super::lines::Lines;
use super::timed::{CallTime, Lack, Names, TimedCall};
use crate::base::float;
use crate::knowledge::adapters::CallLines;

/// Reads one log from its beginning.
#[derive(Debug)]
pub struct SpokenCalls {
    words: &'static CallLines,
    lines: Lines,
    /// Begun and not answered, by the client's name for it.
    open: BTreeMap<String, TimedCall>,
    calls: Vec<TimedCall>,
}

impl SpokenCalls {
    /// A reader that has read nothing.
    pub fn new(words: &'static CallLines) -> Self {
        Self {
            words,
            lines: Lines::default(),
            open: BTreeMap::new(),
            calls: Vec::new(),
        }
    }

    /// Takes the next bytes of the log.
    pub fn feed(&mut self, bytes: &[u8], names: &mut Names) {
        let (words, open, calls) = (self.words, &mut self.open, &mut self.calls);
        self.lines.feed(bytes, |line| {
            if let Some((_, rest)) = line.split_once(words.asks) {
                asked(words, rest, (&mut *open, &mut *calls), names);
            } else if words.answered.iter().any(|text| line.contains(text)) {
                let call = after(line, words.id).and_then(|id| open.remove(id));
                let took = after(line, words.took).and_then(seconds);
                calls.extend(call.map(|call| answered(call, took)));
            }
        });
    }

    /// All calls, those without an answer last.
    pub fn finish(mut self) -> Vec<TimedCall> {
        self.calls.extend(self.open.into_values());
        self.calls
    }
}

fn asked(
    words: &CallLines,
    rest: &str,
    (open, calls): (&mut BTreeMap<String, TimedCall>, &mut Vec<TimedCall>),
    names: &mut Names,
) {
    let Some(id) = after(rest, words.id) else {
        return;
    };
    let mut call = TimedCall {
        tool: None,
        model: after(rest, words.model).map(|model| names.keep(model)),
        endpoint: Some(endpoint(rest))
            .filter(|place| !place.is_empty())
            .map(|place| names.keep(&place)),
        time: CallTime::Unknown(Lack::Unanswered),
        failed: false,
        retried: Some(false),
        at: None,
    };
    // A call of the same name before it had failed.
    if let Some(mut earlier) = open.remove(id) {
        earlier.failed = true;
        calls.push(earlier);
        call.retried = Some(true);
    }
    open.insert(id.to_owned(), call);
}

fn answered(call: TimedCall, took: Option<crate::base::Millis>) -> TimedCall {
    let time = match took.map(|took| float(took.0)) {
        None => CallTime::Unknown(Lack::Missing),
        Some(0.0) => CallTime::Unknown(Lack::Zero),
        Some(ms) => CallTime::Known {
            whole: ms,
            model: ms,
        },
    };
    TimedCall { time, ..call }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knowledge::adapters;

    #[test]
    fn a_log_tells_of_each_call_what_it_took_or_that_nothing_came() {
        let log = "\
DEBUG: Calling vLLM at http://10.0.0.1:1800/v1/chat/completions (model=/ckpt/m/) req_id=1a
DEBUG: Calling vLLM at http://10.0.0.1:1801/v1/chat/completions (model=/ckpt/m/) req_id=1b
DEBUG: vLLM stream complete (took 80.70s, ttft 0.10s) req_id=1b
Error calling vLLM: Connection error.
DEBUG: Calling vLLM at http://10.0.0.1:1802/v1/chat/completions (model=/ckpt/m/) req_id=1a
DEBUG: vLLM stream complete (took 2.50s, ttft 0.10s) req_id=1a
DEBUG: Calling vLLM at http://10.0.0.2:1820/v1/chat/completions (model=Q) req_id=2
DEBUG: vLLM request successful (took 0.00s) req_id=2
DEBUG: vLLM request successful (took 1.00s) req_id=never-asked
DEBUG: Calling vLLM at http://10.0.0.1:1801/v1/chat/completions (model=/ckpt/m/) req_id=3
DEBUG: Calling vLLM at http://10.0.0.1:1801/v1/cha";
        let words = adapters::adapter("toolorchestra-hle").unwrap().calls;
        let mut spoken = SpokenCalls::new(words.unwrap());
        let mut names = Names::default();
        for piece in log.as_bytes().chunks(7) {
            spoken.feed(piece, &mut names);
        }
        let lines: Vec<String> = (spoken.finish().into_iter())
            .map(|call| {
                let (model, place) = (call.model.unwrap(), call.endpoint.unwrap());
                let (failed, retried) = (call.failed, call.retried);
                format!("{model} {place} {:?} {failed} {retried:?}", call.time)
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        /ckpt/m/ 10.0.0.1:1801 Known { whole: 80700.0, model: 80700.0 } false Some(false)
        /ckpt/m/ 10.0.0.1:1800 Unknown(Unanswered) true Some(false)
        /ckpt/m/ 10.0.0.1:1802 Known { whole: 2500.0, model: 2500.0 } false Some(true)
        Q 10.0.0.2:1820 Unknown(Zero) false Some(false)
        /ckpt/m/ 10.0.0.1:1801 Unknown(Unanswered) false Some(false)
        ");
    }
}
