//! A value, where it comes from and how sure it is; and what is assumed where nothing was seen.

use crate::sim::config::{ANSWER_SPREAD, BATCH_SLOWDOWN, DECODE_RATE, PREFILL_RATE};

/// A value with its story.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Estimate {
    /// The value.
    pub(super) value: f64,
    /// Where it comes from and how sure it is, for people.
    pub(super) note: String,
}

impl Estimate {
    /// A value with its story.
    pub(super) fn new(value: f64, note: impl Into<String>) -> Self {
        Self {
            value,
            note: note.into(),
        }
    }
}

/// What is assumed of an engine and its requests where nothing was seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Prior {
    /// Prompt tokens read per second.
    pub(crate) prefill_rate: f64,
    /// Tokens written per second for a request that is alone.
    pub(crate) decode_rate: f64,
    /// What each further request adds to a step, as a share of the step of one.
    pub(crate) batch_slowdown: f64,
    /// Tokens that the KV cache holds.
    pub(crate) cache_tokens: f64,
    /// Requests in a batch.
    pub(crate) max_num_seqs: f64,
    /// Tokens of an answer on average.
    pub(crate) answer_tokens: f64,
    /// The standard deviation of the logarithm of answers' lengths.
    pub(crate) answer_spread: f64,
    /// Tokens of a prompt on average.
    pub(crate) prompt_tokens: f64,
}

impl Default for Prior {
    fn default() -> Self {
        Self {
            prefill_rate: PREFILL_RATE,
            decode_rate: DECODE_RATE,
            batch_slowdown: BATCH_SLOWDOWN,
            // Eight requests of full length, of a context of 32,768 tokens.
            cache_tokens: 262_144.0,
            max_num_seqs: 256.0,
            answer_tokens: 400.0,
            answer_spread: ANSWER_SPREAD,
            prompt_tokens: 2000.0,
        }
    }
}

impl Prior {
    /// Sets one value by `KEY=VALUE`.
    ///
    /// # Errors
    /// What is wrong with the text, and what would be right.
    pub(crate) fn set(&mut self, text: &str) -> Result<(), String> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is not `KEY=VALUE`"))?;
        let number: f64 = value
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite() && *number >= 0.0)
            .ok_or_else(|| format!("`{text}`: `{value}` is not a number of at least 0"))?;
        let (place, least) = match key {
            "prefill_rate" => (&mut self.prefill_rate, 1.0),
            "decode_rate" => (&mut self.decode_rate, 0.1),
            "batch_slowdown" => (&mut self.batch_slowdown, 0.0),
            "cache_tokens" => (&mut self.cache_tokens, 1.0),
            "max_num_seqs" => (&mut self.max_num_seqs, 1.0),
            "answer_tokens" => (&mut self.answer_tokens, 1.0),
            "answer_spread" => (&mut self.answer_spread, 0.0),
            "prompt_tokens" => (&mut self.prompt_tokens, 1.0),
            _ => {
                return Err(format!(
                    "there is no `{key}`: use `prefill_rate`, `decode_rate`, `batch_slowdown`, `cache_tokens`, `max_num_seqs`, `answer_tokens`, `answer_spread` or `prompt_tokens`"
                ));
            }
        };
        if number < least {
            return Err(format!("`{text}` must be at least {least}"));
        }
        *place = number;
        Ok(())
    }
}
