//! One verdict per class, and what the run as a whole is limited by.

use schemars::JsonSchema;
use serde::Serialize;

use super::measured::{Measured, Questions};
use super::moves::plural;
use super::numbers::ratio;
use super::phases::Phases;
use super::shared::part;
use super::words::percent;
use crate::base::float;

/// Someone waits in so many of the looks, or …
const WAITED: f64 = 0.5;
/// … for so much of a call's time: more replicas would shorten it.
const QUEUED: f64 = 0.2;
/// Looks that find someone waiting mean nothing if calls wait no longer than this share of their time: a request that came in
/// a moment ago waits, too.
const MOMENT: f64 = 0.05;
/// Preemptions for each answer from which the cache is too small.
const PREEMPTED: f64 = 0.01;
/// So many of the looks find the cache full.
const CACHE_FULL: f64 = 0.1;
/// A replica that computes fewer calls at once has GPUs to give.
const IDLE: f64 = 0.5;
/// All servers together have fewer of the questions than this: the client is what is waited for.
const AT_SERVERS: f64 = 0.8;
/// A class that has this share of the calls under way is what questions spend their time with.
const MAIN: f64 = 0.6;
/// Another class has this share of the fullest one's seats taken: there is no one bottleneck.
const ALIKE: f64 = 0.75;
/// What was not seen and has no more of the questions' time than this is not what limits them.
const SMALL: f64 = 1.0 - AT_SERVERS;
/// The end takes so much of the run that it is what matters.
const TAIL: f64 = 0.5;

/// What a class is limited by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Calls wait for a place: more replicas shorten that.
    QueueLimited,
    /// Its KV cache is full: fewer requests at once, shorter contexts, a smaller cache format or more replicas.
    KvLimited,
    /// Nobody waits, and questions spend their time with its tokens: shorter answers or more questions at once.
    DecodeLimited,
    /// It has little to do: its GPUs can go where they are needed.
    Idle,
    /// It works, and nobody waits for it longer than it takes.
    KeepsUp,
    /// It was not seen at work.
    Unknown,
}

impl Verdict {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::QueueLimited => "queue-limited",
            Self::KvLimited => "KV-limited",
            Self::DecodeLimited => "decode-limited",
            Self::Idle => "idle",
            Self::KeepsUp => "not limiting",
            Self::Unknown => "not known",
        }
    }
}

/// What the run as a whole is limited by.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Limit {
    /// One class.
    Class {
        /// Its name.
        class: String,
        /// How.
        verdict: Verdict,
    },
    /// The client: most questions are at no server.
    Client,
    /// The end, in which few questions are left.
    Tail,
    /// Nothing more than anything else.
    Balanced,
    /// It cannot be told.
    Unknown {
        /// Why.
        why: String,
    },
}

/// A class and what it is limited by.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Judged {
    /// What was measured of it.
    pub measured: Measured,
    /// What follows from that.
    pub verdict: Verdict,
}

/// What this class is limited by.
pub(super) fn verdict(class: &Measured, questions: &Questions) -> Verdict {
    let Some(each) = class.running_each().filter(|_| class.knows_queue()) else {
        // Calls under way by the client's times are those that wait, too: few of them are few in any case.
        let all = class.in_flight.filter(|_| class.replicas > 0);
        return match all.and_then(|all| ratio(all, float(class.replicas))) {
            Some(each) if each < IDLE => Verdict::Idle,
            _ => Verdict::Unknown,
        };
    };
    let waits = class.waited.is_some_and(|share| share >= WAITED)
        && class.queue_share().is_none_or(|share| share > MOMENT);
    let queued = class.queue_share().is_some_and(|share| share > QUEUED);
    let preempted = class.preempted.is_some_and(|share| share > PREEMPTED);
    let full = class.cache_full.is_some_and(|share| share >= CACHE_FULL);
    if preempted || full {
        Verdict::KvLimited
    } else if waits || queued {
        Verdict::QueueLimited
    } else if each < IDLE {
        Verdict::Idle
    } else if main_share(class, questions).is_some_and(|share| share >= MAIN) {
        Verdict::DecodeLimited
    } else {
        Verdict::KeepsUp
    }
}

/// The share of the questions under way that is with this class.
pub(super) fn main_share(class: &Measured, questions: &Questions) -> Option<f64> {
    let (calls, all) = part(class, questions.shared.as_ref(), questions.under_way)?;
    ratio(calls, all)
}

/// The most of the questions' time that can be with a class whose queue is not known; none where nobody can tell.
pub(super) fn possible_share(class: &Measured, questions: &Questions) -> Option<f64> {
    main_share(class, questions).or(class.most_share)
}

/// Calls that wait for a place at these.
pub(super) fn waiting<'a>(classes: impl IntoIterator<Item = &'a Judged>) -> f64 {
    let classes = classes.into_iter();
    classes.filter_map(|one| one.measured.waiting).sum()
}

/// The share of the questions under way that is at servers.
pub(super) fn at_servers(questions: &Questions) -> Option<f64> {
    questions.elsewhere.map(|elsewhere| 1.0 - elsewhere)
}

/// The same in words: of this evaluation's own, of which no more is known where others asked the same servers.
pub(super) fn said_at_servers(questions: &Questions) -> String {
    let mixed = questions.shared.as_ref().filter(|one| !one.told_apart);
    match mixed.and_then(|shared| shared.most_at_servers) {
        Some(most) => format!("at most {}", percent(most)),
        None => percent(at_servers(questions).unwrap_or_default()),
    }
}

/// The share of the run that its end took.
pub(super) fn tail_share(phases: &Phases, wall: f64) -> Option<f64> {
    ratio(phases.tail?.length().as_secs_f64(), wall)
}

/// What the run is limited by. `unseen` says why nothing is known of any server, where that is so.
pub(super) fn limit(
    questions: &Questions,
    classes: &[Judged],
    phases: &Phases,
    wall: f64,
    unseen: &str,
) -> Limit {
    let unknown = |why: &str| Limit::Unknown {
        why: why.to_owned(),
    };
    if classes.iter().all(|one| one.verdict == Verdict::Unknown) {
        return unknown(&format!(
            "whether calls wait at its servers was not measured ({unseen})"
        ));
    }
    if tail_share(phases, wall).is_some_and(|share| share >= TAIL) {
        return Limit::Tail;
    }
    if let Some(longest) = longest(classes) {
        let donors = classes.iter().any(|one| one.verdict == Verdict::Idle);
        return if donors || !has_equal(longest, classes) {
            Limit::Class {
                class: longest.measured.class.clone(),
                verdict: longest.verdict,
            }
        } else {
            Limit::Balanced
        };
    }
    let hidden = classes.iter().find(|one| {
        let class = &one.measured;
        let share = possible_share(class, questions);
        // What has no GPUs and was not seen counts as time elsewhere.
        let counts = class.gpus > 0 || class.in_flight.is_some();
        one.verdict == Verdict::Unknown && counts && share.is_none_or(|share| share > SMALL)
    });
    if let Some(one) = hidden {
        return unknown(&hidden_queue(&one.measured, questions));
    }
    if questions.under_way.is_none() {
        return unknown("how many questions are under way is not known");
    }
    let decoding = classes
        .iter()
        .find(|one| one.verdict == Verdict::DecodeLimited);
    if let Some(one) = decoding {
        return Limit::Class {
            class: one.measured.class.clone(),
            verdict: one.verdict,
        };
    }
    let few = |share: Option<f64>| share.is_some_and(|share| share < AT_SERVERS);
    let mixed = questions.shared.as_ref().filter(|one| !one.told_apart);
    match mixed {
        Some(shared) if few(shared.most_at_servers) => Limit::Client,
        Some(shared) if questions.elsewhere.is_none() || few(at_servers(questions)) => {
            unknown(&shared.why())
        }
        None if few(at_servers(questions)) => Limit::Client,
        _ => Limit::Balanced,
    }
}

fn hidden_queue(class: &Measured, questions: &Questions) -> String {
    let name = &class.class;
    let share = match (main_share(class, questions), class.most_share) {
        (Some(share), _) => format!(
            ", and {:.0} % of the questions' time is with it",
            share * 100.0
        ),
        (None, Some(most)) => format!(
            ", and up to {:.0} % of the questions' time may be with it",
            most * 100.0
        ),
        (None, None) => String::new(),
    };
    match class.looks {
        Some(looks) if looks > 0 && class.running.is_none() => format!(
            "{name} does not count how long it computes and was sampled only {} time{}{share}",
            looks,
            plural(looks)
        ),
        _ => format!("whether calls wait at {name} was not measured{share}"),
    }
}

/// The class that is waited for, of several the one with the most of its seats taken.
fn longest(classes: &[Judged]) -> Option<&Judged> {
    let waited = |one: &&Judged| matches!(one.verdict, Verdict::QueueLimited | Verdict::KvLimited);
    let taken = |one: &Judged| {
        let of = &one.measured;
        (of.utilisation.unwrap_or(0.0), of.waiting.unwrap_or(0.0))
    };
    classes.iter().filter(waited).max_by(|one, other| {
        let ((one, waits), (other, wait)) = (taken(one), taken(other));
        one.total_cmp(&other).then(waits.total_cmp(&wait))
    })
}

/// Whether another class is nearly as full: relief of this one would bring as little as relief of that.
fn has_equal(fullest: &Judged, classes: &[Judged]) -> bool {
    let most = fullest.measured.utilisation;
    classes.iter().any(|one| {
        one.measured.class != fullest.measured.class
            && one
                .measured
                .utilisation
                .zip(most)
                .is_some_and(|(one, most)| one >= ALIKE * most)
    })
}
