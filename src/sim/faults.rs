//! Faults on a timeline: what goes wrong with a server, when after it is ready, and for how long. Pure.

use std::time::Duration;

use crate::base::Millis;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The process ends with 1.
    Crash,
    /// The engine dies, and its server with it, with 0.
    Engine,
    /// Requests are taken and never answered; `/health` says 200.
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
}

const KINDS: [(&str, Kind); 8] = [
    ("crash", Kind::Crash),
    ("engine", Kind::Engine),
    ("hang", Kind::Hang),
    ("slow", Kind::Slow),
    ("error", Kind::Error),
    ("busy", Kind::Busy),
    ("reset", Kind::Reset),
    ("wrong-model", Kind::WrongModel),
];

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// How long after ready it begins.
    pub after: Duration,
    /// What goes wrong.
    pub kind: Kind,
    /// How long it lasts; none for ever.
    pub lasts: Option<Duration>,
}

impl Fault {
    /// Whether it is so, this long after ready.
    pub(super) fn is_on(&self, since: Duration) -> bool {
        since >= self.after && self.lasts.is_none_or(|lasts| since < self.after + lasts)
    }
}

/// Reads `90s hang 30s, 2m crash`: when, what, and for how long.
pub(super) fn parse(text: &str) -> Result<Vec<Fault>, String> {
    let parts = text.split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(one).collect()
}

fn one(text: &str) -> Result<Fault, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (after, kind, lasts) = match words[..] {
        [after, kind] => (after, kind, None),
        [after, kind, lasts] => (after, kind, Some(lasts)),
        _ => {
            return Err(format!(
                "`{text}` is not `AT KIND [FOR]`, such as `90s hang 30s`"
            ));
        }
    };
    let time = |text: &str| {
        let length = Millis::parse(text).map_err(|error| error.to_string());
        length.map(Duration::from)
    };
    let known = KINDS.iter().find(|(name, _)| *name == kind);
    let (_, kind) = known.ok_or_else(|| {
        let names = KINDS.map(|(name, _)| name).join(", ");
        format!("`{kind}` is no fault; there are {names}")
    })?;
    Ok(Fault {
        after: time(after)?,
        kind: *kind,
        lasts: lasts.map(time).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeline_is_read() {
        let seconds = Duration::from_secs;
        let faults = parse("90s hang 30s, 2m crash").unwrap();
        let [hang, crash] = faults[..] else {
            panic!("{faults:?}");
        };
        assert_eq!((hang.kind, crash.kind), (Kind::Hang, Kind::Crash));
        assert_eq!((crash.after, crash.lasts), (seconds(120), None));
        assert!(!hang.is_on(seconds(89)) && hang.is_on(seconds(90)));
        assert!(hang.is_on(seconds(119)) && !hang.is_on(seconds(120)));
        assert!(crash.is_on(seconds(1_000)));
        assert_eq!(parse(""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_no_timeline_is_refused() {
        insta::assert_snapshot!(parse("soon hang").unwrap_err(), @r"
        `soon` is not a duration: write a number and a unit, such as `90s`, `60m`, `1h30m` or `500ms`
        ");
        insta::assert_snapshot!(parse("1s sleep").unwrap_err(), @r"
        `sleep` is no fault; there are crash, engine, hang, slow, error, busy, reset, wrong-model
        ");
        insta::assert_snapshot!(parse("hang").unwrap_err(), @r"
        `hang` is not `AT KIND [FOR]`, such as `90s hang 30s`
        ");
    }
}
