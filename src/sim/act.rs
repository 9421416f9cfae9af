//! All that can be done to a unit of a run: what can go wrong with its server, its process, or its client. Pure.

use std::path::Path;

use super::faults::Kind;
use super::timed::{Happens, Length};
use crate::plan::rehearsal::CONTROL;
use crate::plan::{Unit, UnitKind};

/// Something that is done to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Act {
    /// A simulated server is told to fail like this.
    Server(Kind),
    /// The unit's first process is sent a signal.
    Process(Blow),
    /// The newest result is cut in the middle, and the client killed.
    Torn,
    /// A client that listens is told this.
    Client(Word),
    /// Whatever was begun and lasts is ended.
    End,
}

/// A signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Blow {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and later SIGCONT.
    Stop,
    /// SIGTERM.
    Term,
}

/// A word to a client that listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Word {
    /// Open files and never close them.
    Leak,
    /// End with 0 before all is done.
    Exit,
    /// Call an address outside of the cluster.
    Outside,
    /// Do nothing any more.
    Stall,
    /// End with an error.
    Die,
}

/// All that is not a server's.
const OTHERS: [(&str, Act); 10] = [
    ("kill", Act::Process(Blow::Kill)),
    ("stop", Act::Process(Blow::Stop)),
    ("term", Act::Process(Blow::Term)),
    ("torn", Act::Torn),
    ("leak", Act::Client(Word::Leak)),
    ("exit", Act::Client(Word::Exit)),
    ("outside", Act::Client(Word::Outside)),
    ("stall", Act::Client(Word::Stall)),
    ("die", Act::Client(Word::Die)),
    ("end", Act::End),
];

impl Act {
    /// Whether it can be done to this unit, by its plan.
    pub fn fits(self, unit: &Unit) -> bool {
        let client = matches!(unit.kind, UnitKind::Eval { .. });
        match self {
            Self::Server(_) => is_simulated(unit),
            Self::Process(_) | Self::End => true,
            Self::Torn => client,
            Self::Client(_) => client && unit.env.set.contains_key(CONTROL),
        }
    }

    /// All that can be done to this unit.
    pub fn fitting(unit: &Unit) -> Vec<Self> {
        let others = OTHERS.into_iter().map(|(_, act)| act);
        Kind::all()
            .map(Self::Server)
            .chain(others)
            .filter(|act| act.fits(unit))
            .collect()
    }
}

/// Whether a unit's plan says that it is a simulated server.
pub fn is_simulated(unit: &Unit) -> bool {
    matches!(&unit.argv[..], [_, sim, vllm, ..] if sim == "sim" && vllm == "vllm")
}

/// Whether a unit may be one: a program called `vllm` may be this one.
pub(super) fn may_be_simulated(unit: &Unit) -> bool {
    let program = unit
        .argv
        .first()
        .and_then(|path| Path::new(path).file_name());
    is_simulated(unit) || program.is_some_and(|name| name == "vllm")
}

impl Happens for Act {
    fn named(name: &str) -> Option<Self> {
        let other = OTHERS.iter().find(|(known, _)| *known == name);
        let server = Kind::named(name).map(Self::Server);
        server.or(other.map(|(_, act)| *act))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Server(kind) => kind.name(),
            other => {
                let known = OTHERS.iter().find(|(_, act)| *act == other);
                known.map_or("", |(name, _)| name)
            }
        }
    }

    fn names() -> Vec<&'static str> {
        let others = OTHERS.iter().map(|(name, _)| *name);
        Kind::names().into_iter().chain(others).collect()
    }

    fn length(self) -> Length {
        match self {
            Self::Server(kind) => kind.length(),
            Self::Process(Blow::Stop) => Length::Open,
            Self::Process(_) | Self::Torn | Self::Client(_) | Self::End => Length::Moment,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_for_two_things() {
        let mut names = Act::names();
        for name in &names {
            assert_eq!(Act::named(name).map(Act::name), Some(*name));
        }
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
