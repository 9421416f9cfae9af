//! All that is said of a run.

use schemars::JsonSchema;
use serde::Serialize;

use super::advice::{Advice, advice};
use super::cost::{Cost, cost};
use super::counted::ENOUGH;
use super::eta::{Eta, eta, stalled};
use super::evidence::Evidence;
use super::findings::{Findings, findings};
use super::judge::{Judged, Limit, Verdict, limit, tail_share, verdict};
use super::measured::{Measured, Questions, all_measured, floor_hours};
use super::numbers::between;
use super::phases::{Phases, Span, phases};
use super::standstill::{disturbed, has_stood_still};
use super::sums::Blocks;
use super::what_if::bound;
use crate::base::float;

/// All that is said of a run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Analysis {
    /// What it is limited by.
    pub limit: Limit,
    /// Its questions.
    pub questions: Questions,
    /// How many questions its client has under way at most (`concurrency`).
    pub concurrency: Option<usize>,
    /// The classes.
    pub classes: Vec<Judged>,
    /// Its parts.
    pub phases: Phases,
    /// What is judged: its steady time, or all of it.
    pub judged: Span,
    /// How often its servers were looked at in the judged time; 0 where that was only before and after, and none where nothing
    /// was sampled.
    pub looks: Option<usize>,
    /// The share of it that was its end.
    pub tail_share: Option<f64>,
    /// What stands out.
    pub findings: Findings,
    /// What to change.
    pub advice: Advice,
    /// Where nothing is advised for lack of queue metrics: what more replicas would bring at most.
    pub at_most: Option<AtMost>,
    /// Hours that all known times take at least with this many questions at once.
    pub floor_hours: Option<f64>,
    /// When it may be done.
    pub eta: Eta,
    /// What it costs; none of results alone.
    pub cost: Option<Cost>,
}

/// What more replicas of a class would bring if all of its time were waiting, which nobody knows.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AtMost {
    /// The class.
    pub class: String,
    /// So many replicas, and the factor.
    pub factors: Vec<(usize, f64)>,
}

/// Judges a run.
pub fn analyse(evidence: &Evidence) -> Analysis {
    let phases = phases(evidence);
    let judged = judged(evidence, &phases);
    let all = Blocks::of(evidence, judged).all();
    let (questions, measured) = all_measured(evidence, judged, &all);
    let of_class = |measured: Measured| {
        let found = verdict(&measured, &questions);
        // Questions that it kept were with it, and nobody counted them.
        let waited = matches!(found, Verdict::QueueLimited | Verdict::KvLimited);
        let kept = !waited && has_stood_still(evidence, &measured.class, judged);
        Judged {
            verdict: if kept { Verdict::Unknown } else { found },
            measured,
        }
    };
    let classes: Vec<Judged> = measured.into_iter().map(of_class).collect();
    let wall = between(evidence.began, evidence.until);
    let looks = looks(evidence, judged);
    let limit = match stalled(evidence).or_else(|| disturbed(evidence, judged)) {
        Some(why) => Limit::Unknown { why },
        None => limit(&questions, &classes, &phases, wall, unseen(evidence, looks)),
    };
    Analysis {
        findings: findings(evidence, &questions),
        advice: advice(evidence, &phases, &classes, &limit),
        at_most: at_most(evidence, &classes, &limit),
        looks,
        tail_share: tail_share(&phases, wall),
        floor_hours: floor_hours(evidence),
        eta: eta(evidence),
        cost: cost(evidence),
        concurrency: evidence.client.concurrency,
        limit,
        questions,
        classes,
        phases,
        judged,
    }
}

/// What is judged: the steady time, or all of the run where looks are too far apart to tell its parts. Over all of it, what was
/// counted and the questions are of the same time.
fn judged(evidence: &Evidence, phases: &Phases) -> Span {
    match looks(evidence, phases.steady) {
        Some(few) if float(few) < ENOUGH => phases.whole,
        _ => phases.steady,
    }
}

/// Looks at that server of which there are most.
fn looks(evidence: &Evidence, judged: Span) -> Option<usize> {
    let series = evidence.classes.iter().flat_map(|class| &class.series);
    let counts = series.map(|series| {
        let windows = series.windows.iter().filter(|one| judged.has(one.at));
        windows.filter(|one| one.running.is_some()).count()
    });
    counts.max()
}

/// Why nothing is known of servers.
fn unseen(evidence: &Evidence, looks: Option<usize>) -> &'static str {
    if evidence.until <= evidence.began {
        "results do not tell, and a run of `toolorch up` would"
    } else if evidence.classes.iter().all(|one| one.series.is_empty()) {
        "none of them was sampled while it ran"
    } else if looks.is_some_and(|looks| looks > 0 && float(looks) < ENOUGH) {
        "they do not count how long they compute, and were sampled too seldom"
    } else {
        "they do not say how many calls wait"
    }
}

/// Bounds for the class with the most of the known time: a quarter, half and as many again of its replicas.
fn at_most(evidence: &Evidence, judged: &[Judged], limit: &Limit) -> Option<AtMost> {
    if !matches!(limit, Limit::Unknown { .. }) {
        return None;
    }
    let classes = evidence.classes.iter().enumerate();
    let time = |(index, class): (usize, &super::evidence::Class)| {
        let calls = class
            .calls
            .filter(|_| class.gpus_per_replica > 0 && !class.fixed)?;
        Some((index, calls.seconds()))
    };
    let (index, _) = classes
        .filter_map(time)
        .max_by(|one, other| one.1.total_cmp(&other.1))?;
    if judged[index].measured.knows_queue() {
        return None;
    }
    let now = evidence.classes[index].replicas;
    let mut wanted = vec![now + now.div_ceil(4), now + now.div_ceil(2), now * 2];
    wanted.dedup();
    let factor = |count: usize| {
        let mut replicas: Vec<usize> = evidence
            .classes
            .iter()
            .map(|class| class.replicas)
            .collect();
        replicas[index] = count;
        Some((count, bound(evidence, &replicas)?))
    };
    Some(AtMost {
        class: evidence.classes[index].name.clone(),
        factors: wanted.into_iter().filter_map(factor).collect(),
    })
}
