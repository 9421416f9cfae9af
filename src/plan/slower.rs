//! Clients that are started again with fewer questions in flight.

use super::{Slower, UnitEnv};
use crate::base::FieldPath;
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::spec::model::Eval;

/// How a client is started.
pub(super) struct Words {
    pub(super) argv: Vec<String>,
    pub(super) env: UnitEnv,
}

/// What differs from `first` with each number of `restart: { concurrency: … }`; none where one of them cannot be.
pub(super) fn steps(
    eval: &Eval,
    first: &Words,
    origin: &FieldPath,
    words: impl Fn(&Eval) -> Words,
    report: &mut Report,
) -> Vec<Slower> {
    let Some(wanted) = eval.restart.as_ref().map(|restart| &restart.concurrency) else {
        return Vec::new();
    };
    let place = origin.key("restart").key("concurrency");
    let mut before = eval.concurrency;
    let mut steps = Vec::with_capacity(wanted.len());
    for (index, &concurrency) in wanted.iter().enumerate() {
        let Some(least) = before.filter(|least| concurrency > 0 && concurrency < *least) else {
            report.push(not_lower(&place.index(index), concurrency, before));
            return Vec::new();
        };
        before = Some(concurrency);
        let eval = Eval {
            concurrency: before,
            ..eval.clone()
        };
        let step = difference(first, words(&eval), concurrency);
        if step.argv == first.argv && step.set.is_empty() {
            report.push(unheard(&place, least));
            return Vec::new();
        }
        steps.push(step);
    }
    steps
}

fn difference(first: &Words, words: Words, concurrency: u32) -> Slower {
    let same = |name: &String, value: &String| first.env.set.get(name) == Some(value);
    let mut set = words.env.set;
    set.retain(|name, value| !same(name, value));
    Slower {
        concurrency,
        argv: words.argv,
        set,
    }
}

fn not_lower(place: &FieldPath, concurrency: u32, before: Option<u32>) -> Diagnostic {
    let label = match before {
        None => "the evaluation has no `concurrency`".to_owned(),
        Some(_) if concurrency == 0 => "no question would be asked".to_owned(),
        Some(before) => format!("not lower than {before}"),
    };
    Diagnostic::error(
        Code("E0531"),
        "after a death fewer questions are to be in flight, and these are not fewer",
    )
    .at(Place::Value(place.clone()), label)
    .help("write `concurrency: 64` and `restart: { concurrency: [32, 16] }`: each lower than the one before")
}

fn unheard(place: &FieldPath, concurrency: u32) -> Diagnostic {
    Diagnostic::error(
        Code("E0531"),
        "the client is not told how many questions may be in flight",
    )
    .at(
        Place::Value(place.clone()),
        format!("its command is the same as with {concurrency}"),
    )
    .help("put `{concurrency}` into `command`, where the client reads it")
}
