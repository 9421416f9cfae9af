//! What can go wrong with a simulated server. Pure.

use std::time::Duration;

use super::timed::{self, Length, Timed};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The process ends with 1.
    Crash,
    /// The engine dies, and its server with it, with 0.
    Engine,
    /// The engine stands still: completions are taken and never answered, counters stay, `/health` says 200.
    Hang,
    /// Every request waits five seconds more.
    Slow,
    /// Requests get 500.
    Error,
    /// Requests get 429.
    Busy,
    /// Connections break in the middle of the answer.
    Reset,
    /// It serves another model.
    WrongModel,
    /// Connections are taken and requests read, but nothing is ever answered or closed, `/health` neither.
    HalfOpen,
    /// The log has escape sequences that would do something to a terminal.
    Escapes,
    /// The log grows by 50 MB a second.
    Flood,
    /// The GPU's memory is too small for the model: it ends while it loads.
    Oom,
    /// The process ends, and before it can start again somebody else listens on its port.
    PortTaken,
}

const KINDS: [(&str, Kind); 13] = [
    ("crash", Kind::Crash),
    ("engine", Kind::Engine),
    ("hang", Kind::Hang),
    ("slow", Kind::Slow),
    ("error", Kind::Error),
    ("busy", Kind::Busy),
    ("reset", Kind::Reset),
    ("wrong-model", Kind::WrongModel),
    ("half-open", Kind::HalfOpen),
    ("escapes", Kind::Escapes),
    ("flood", Kind::Flood),
    ("oom", Kind::Oom),
    ("port-taken", Kind::PortTaken),
];

/// How long a log is flooded unless it is said: 100 MB are enough to see what becomes of them, and fill no disk.
const FLOODS: Duration = Duration::from_secs(2);
/// How long a port is taken unless it is said.
const SQUATS: Duration = Duration::from_secs(20);

impl Kind {
    /// All of them, in the order in which they are listed.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        KINDS.into_iter().map(|(_, kind)| kind)
    }
}

impl timed::Happens for Kind {
    fn named(name: &str) -> Option<Self> {
        let known = KINDS.iter().find(|(known, _)| *known == name);
        known.map(|(_, kind)| *kind)
    }

    fn name(self) -> &'static str {
        let known = KINDS.iter().find(|(_, kind)| *kind == self);
        known.map_or("", |(name, _)| name)
    }

    fn names() -> Vec<&'static str> {
        KINDS.iter().map(|(name, _)| *name).collect()
    }

    fn length(self) -> Length {
        match self {
            Self::Crash | Self::Engine | Self::Oom => Length::Moment,
            Self::Flood => Length::Else(FLOODS),
            Self::PortTaken => Length::Else(SQUATS),
            Self::Hang
            | Self::Slow
            | Self::Error
            | Self::Busy
            | Self::Reset
            | Self::WrongModel
            | Self::HalfOpen
            | Self::Escapes => Length::Open,
        }
    }

    fn at_start(self) -> bool {
        self == Self::Oom
    }
}

/// One fault; its time is counted from ready.
pub type Fault = Timed<Kind>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::timed::parse;

    fn read(text: &str) -> Result<Vec<Fault>, String> {
        parse(text)
    }

    #[test]
    fn a_timeline_is_read() {
        let seconds = Duration::from_secs;
        let faults = read("90s hang 30s, 2m crash").unwrap();
        let [hang, crash] = faults[..] else {
            panic!("{faults:?}");
        };
        assert_eq!((hang.kind, crash.kind), (Kind::Hang, Kind::Crash));
        assert_eq!((crash.after, crash.lasts), (seconds(120), None));
        assert!(!hang.is_on(seconds(89)) && hang.is_on(seconds(90)));
        assert!(hang.is_on(seconds(119)) && !hang.is_on(seconds(120)));
        assert!(crash.is_on(seconds(1_000)));
        assert_eq!(read(""), Ok(Vec::new()));
        let usual = read("1s flood, 2s port-taken").unwrap();
        let lengths: Vec<_> = usual.iter().map(|fault| fault.lasts).collect();
        assert_eq!(lengths, [Some(FLOODS), Some(SQUATS)]);
    }

    #[test]
    fn each_kind_is_read_as_it_is_written() {
        for kind in Kind::all() {
            let lasts = match timed::Happens::length(kind) {
                Length::Moment => None,
                _ => Some(Duration::from_millis(1500)),
            };
            let after = Duration::from_secs(if kind == Kind::Oom { 0 } else { 90 });
            let fault = Timed { after, kind, lasts };
            assert_eq!(read(&fault.to_string()), Ok(vec![fault]));
        }
    }

    #[test]
    fn what_is_no_timeline_is_refused() {
        let refused = [
            "soon hang",
            "1s sleep",
            "hang",
            "2m crash 3s",
            "9s oom",
            "start hang",
        ]
        .map(|text| read(text).unwrap_err());
        insta::assert_snapshot!(refused.join("\n"), @r"
        `soon` is not a duration: write a number and a unit, such as `90s`, `60m`, `1h30m` or `500ms`
        `sleep` is no fault; there are crash, engine, hang, slow, error, busy, reset, wrong-model, half-open, escapes, flood, oom, port-taken
        `hang` is not `AT KIND [FOR]`, such as `90s hang 30s`
        `crash` is a moment and has no length
        `oom` happens at a start alone: write `start oom`
        `hang` cannot be at `start` here: say when
        ");
    }
}
