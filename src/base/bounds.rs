//! How large a number from outside can be and still be what it is called, one bound for each kind.
//!
//! What lies beyond is a fault of whoever wrote it. Added up it would be the whole of every sum, and the square of it no number
//! any more; so it is odd, as a text in its place is: left out where it is read, and counted.

use super::Millis;

/// The longest time of a call, in milliseconds: 30 days. Nothing waits longer for one answer, and the slowest evaluations that
/// are known take days in all; more is another unit, or damage.
pub const LONGEST_CALL_MS: f64 = 30.0 * 86_400_000.0;

/// The most rounds of a question, or tries of a call: a million, some four orders above what clients allow.
pub const MOST_ROUNDS: f64 = 1e6;

/// The most that a program has at the same time (requests in a queue, open calls): ten million, above the sockets of any machine.
pub const MOST_AT_ONCE: f64 = 1e7;

/// The most that is counted (tokens, requests, their seconds), from zero on: 2^53, above which neighbours cannot be told apart.
pub const MOST_COUNTED: f64 = 9_007_199_254_740_992.0;

/// The most questions of an evaluation: ten million.
pub const MOST_QUESTIONS: usize = 10_000_000;

/// The last moment, in seconds since 1970: the year 5138. Milliseconds in the place of seconds lie beyond.
pub const LAST_MOMENT: f64 = 1e11;

/// The longest that a run takes for a judgement: a year. Of what came later a clock is to blame.
pub const LONGEST_RUN: Millis = Millis::from_secs(366 * 86_400);

/// The most memory of a machine or GPU, in MiB: one pebibyte.
pub const MOST_MEBIBYTES: u64 = 1 << 30;

/// Whether a length of time can be that of a call, in milliseconds.
pub fn is_call_time(ms: f64) -> bool {
    (0.0..=LONGEST_CALL_MS).contains(&ms)
}

/// Whether a number can be one of rounds or tries.
pub fn is_rounds(count: f64) -> bool {
    (0.0..=MOST_ROUNDS).contains(&count) && count.fract() == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beyond_a_bound_is_no_such_number() {
        for ms in [0.0, 5e-324, 407_000.0, LONGEST_CALL_MS] {
            assert!(is_call_time(ms), "{ms}");
        }
        for ms in [-1.0, 2.6e9, 1e308, f64::INFINITY, f64::NAN] {
            assert!(!is_call_time(ms), "{ms}");
        }
        assert!(is_rounds(0.0) && is_rounds(50.0));
        for rounds in [-3.0, 0.5, 1e300, f64::NAN] {
            assert!(!is_rounds(rounds), "{rounds}");
        }
    }
}
