//! What an owner says to the units of its machine, in one line: `pid=… start=… epoch=… at=… then=down`.

use crate::base::{Epoch, Timestamp};

/// An owner's sign of life. Scripts of units compare its text, and look for `then=down`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// The owner's process.
    pub pid: u32,
    /// Its start in clock ticks since boot.
    pub start: u64,
    /// The n-th owner of the run.
    pub epoch: Epoch,
    /// When it said so.
    pub at: Timestamp,
    /// Servers are meant to end when nobody watches them any more.
    pub ends: bool,
    /// Since when it cannot write its journal.
    pub unwritten: Option<Timestamp>,
}

impl Heartbeat {
    /// The line, with its end.
    pub fn line(&self) -> String {
        let (pid, start, epoch, at) = (self.pid, self.start, self.epoch, self.at.0);
        let then = if self.ends { "down" } else { "keep" };
        let unwritten = self.unwritten;
        let unwritten =
            unwritten.map_or_else(String::new, |since| format!(" unwritten={}", since.0));
        format!("pid={pid} start={start} epoch={epoch} at={at} then={then}{unwritten}\n")
    }

    /// The line read; none of half a line.
    pub fn parse(text: &str) -> Option<Self> {
        let line = text.strip_suffix('\n')?;
        let value = |key: &str| {
            let mut words = line.split(' ').filter_map(|word| word.split_once('='));
            words.find_map(|(name, value)| (name == key).then_some(value))
        };
        Some(Self {
            pid: value("pid")?.parse().ok()?,
            start: value("start")?.parse().ok()?,
            epoch: Epoch(value("epoch")?.parse().ok()?),
            at: Timestamp(value("at")?.parse().ok()?),
            ends: value("then")? == "down",
            unwritten: match value("unwritten") {
                Some(since) => Some(Timestamp(since.parse().ok()?)),
                None => None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let beat = Heartbeat {
            pid: 42,
            start: 7,
            epoch: Epoch(3),
            at: Timestamp(1_000),
            ends: true,
            unwritten: None,
        };
        assert_eq!(beat.line(), "pid=42 start=7 epoch=3 at=1000 then=down\n");
        let stuck = Heartbeat {
            ends: false,
            unwritten: Some(Timestamp(900)),
            ..beat
        };
        for beat in [beat, stuck] {
            assert_eq!(Heartbeat::parse(&beat.line()), Some(beat));
        }
        let line = stuck.line();
        for end in 0..line.len() {
            assert_eq!(Heartbeat::parse(&line[..end]), None);
        }
    }
}
