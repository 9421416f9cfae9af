//! Visits, service, queue and utilisation of each class, by the operational laws (Denning and Buzen, "The operational
//! analysis of queueing network models", Computing Surveys 10, 1978).

use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::{Class, Evidence, Seats, SeatsBy};
use super::network::seats_of;
use super::numbers::{number, ratio};
use super::phases::Phases;
use super::sums::{Block, Flow, Sums};

/// A look finds someone waiting by chance; fewer such looks say nothing of seats.
const FULL_LOOKS: usize = 5;

/// One class over the steady time; what is unknown is none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Measured {
    /// Its name.
    pub class: String,
    /// Servers (m).
    pub replicas: usize,
    /// GPUs of all of them.
    pub gpus: usize,
    /// Calls of a question (V).
    pub visits: Option<f64>,
    /// Seconds that a call is computed (S).
    pub service: Option<f64>,
    /// Seconds that a call waits for a place (W).
    pub queue: Option<f64>,
    /// Seconds of a question that it computes (D = V·S).
    pub demand: Option<f64>,
    /// Calls that are computed, on all replicas.
    pub running: Option<f64>,
    /// Calls that wait for a place, on all replicas.
    pub waiting: Option<f64>,
    /// Calls under way: those two, or else what the client's times say by Little's law.
    pub in_flight: Option<f64>,
    /// Its share of all the time that the client's own times account for.
    pub time_share: Option<f64>,
    /// Calls that one replica computes at once when it is full (c).
    pub seats: Option<usize>,
    /// Who says so.
    pub seats_by: Option<SeatsBy>,
    /// The share of its seats that is taken.
    pub utilisation: Option<f64>,
    /// The share of looks that found someone waiting.
    pub waited: Option<f64>,
    /// The share of looks that found its KV cache full.
    pub cache_full: Option<f64>,
    /// Calls that had to give their cache back, of each that was answered.
    pub preempted: Option<f64>,
    /// The share of looks that found a replica with nothing to do.
    pub idle: Option<f64>,
    /// Tokens of an answer that nine of ten do not exceed.
    pub answer_tokens: Option<f64>,
}

impl Measured {
    /// The share of a call's time in which it waits.
    pub fn queue_share(&self) -> Option<f64> {
        let (queue, service) = (self.queue?, self.service?);
        ratio(queue, queue + service)
    }

    /// Calls that one replica computes.
    pub fn running_each(&self) -> Option<f64> {
        ratio(self.running?, number(self.replicas))
    }

    /// Whether its own counters tell how long calls wait: without that nobody knows if more replicas help.
    pub fn knows_queue(&self) -> bool {
        self.running.is_some() && self.waiting.is_some()
    }
}

/// Calls that one replica computes at once when it is full: what is asked of it, or less where its cache does not hold as many.
pub(super) fn seats(class: &Class) -> Option<Seats> {
    let windows = class.series.iter().flat_map(|series| &series.windows);
    let mut full: Vec<f64> = windows
        .filter(|window| window.waiting.is_some_and(|waiting| waiting > 0.0))
        .filter_map(|window| window.running)
        .collect();
    let seen = (full.len() >= FULL_LOOKS)
        .then(|| seats_of(&mut full))
        .flatten();
    let by_look = |count| Seats {
        count,
        by: SeatsBy::FullServers,
    };
    match (seen, class.seats) {
        (Some(seen), Some(asked)) if seen >= asked.count => Some(asked),
        (Some(seen), _) => Some(by_look(seen)),
        (None, asked) => asked,
    }
}

/// One class.
pub(super) fn measured(
    class: &Class,
    sums: &Sums,
    throughput: Option<f64>,
    evidence: &Evidence,
) -> Measured {
    let all = number(class.replicas);
    // Who was looked at only before and after: by Little's law its counters tell what looks in between would have found.
    let running = sums.running.rate().or_else(|| sums.inference.rate());
    let running = running.map(|running| running * all);
    let waiting = sums.waiting.rate().or_else(|| sums.queue.rate());
    let waiting = waiting.map(|waiting| waiting * all);
    let seats = seats(class);
    let finished = sums.finished.rate().map(|rate| rate * all);
    let visits = match (finished, throughput, class.calls) {
        (Some(finished), Some(throughput), _) => ratio(finished, throughput),
        (_, _, Some(calls)) => ratio(number(calls.count), number(evidence.client.done)),
        _ => None,
    };
    let service = sums.service();
    // By Little's law that is also the share of the questions under way that are with it.
    let share = class
        .calls
        .and_then(|calls| ratio(calls.seconds(), attributed(evidence)));
    let busy = |running: f64| ratio(running, all * number(seats?.count));
    Measured {
        class: class.name.clone(),
        replicas: class.replicas,
        gpus: class.gpus(),
        visits,
        service,
        queue: sums.queued(),
        demand: visits.zip(service).map(|(visits, time)| visits * time),
        running,
        waiting,
        in_flight: running
            .zip(waiting)
            .map(|(running, waiting)| running + waiting)
            .or_else(|| Some(share? * number(evidence.client.concurrency?))),
        time_share: share,
        seats: seats.map(|seats| seats.count),
        seats_by: seats.map(|seats| seats.by),
        utilisation: running.and_then(busy),
        waited: sums.waited.rate(),
        cache_full: sums.full.rate(),
        preempted: match (sums.preempted.rate(), sums.finished.rate()) {
            (Some(preempted), Some(finished)) => ratio(preempted, finished),
            _ => None,
        },
        idle: sums.idle.rate(),
        answer_tokens: class.answer_tokens,
    }
}

/// The time of all questions that their steps account for, in seconds.
pub(super) fn attributed(evidence: &Evidence) -> f64 {
    let steps = evidence.client.steps.iter();
    steps.map(|step| step.calls.seconds()).sum()
}

/// The questions: how many, how fast, and how much of their time is at servers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Questions {
    /// Under way at once (N).
    pub under_way: Option<f64>,
    /// Finished per second (X).
    pub throughput: Option<f64>,
    /// Seconds that one takes (R = N/X).
    pub time: Option<f64>,
    /// The share of that at no server that was sampled: the client itself, code, judge, services without counters.
    pub elsewhere: Option<f64>,
    /// How far N is from X times the mean time of questions that were seen to begin and end, as a share of N.
    pub gap: Option<f64>,
    /// No more than so many per second, whatever the queues are (N over the time without waiting for anyone else).
    pub bound_by_questions: Option<f64>,
    /// No more than so many per second, because of the seats of this class.
    pub bound_by_seats: Option<(String, f64)>,
}

impl Questions {
    pub(super) fn of(
        flow: &Flow,
        classes: &[Measured],
        evidence: &Evidence,
        phases: &Phases,
    ) -> Self {
        let under_way = flow
            .under_way
            .rate()
            .or_else(|| evidence.client.concurrency.map(number));
        let throughput = flow.throughput();
        let time = under_way.zip(throughput).and_then(|(n, x)| ratio(n, x));
        // Where something may wait that was not counted, nobody can tell what is at no server.
        let counted = classes
            .iter()
            .all(|class| class.gpus == 0 || class.knows_queue());
        let sampled: f64 = classes
            .iter()
            .filter(|class| class.knows_queue())
            .filter_map(|class| class.in_flight)
            .sum();
        let any = classes.iter().any(Measured::knows_queue);
        let elsewhere = under_way
            .filter(|_| counted && any)
            .and_then(|n| ratio((n - sampled).max(0.0), n));
        let bound_by_questions = time.zip(elsewhere).and_then(|(time, elsewhere)| {
            let computed: f64 = classes.iter().filter_map(|class| class.demand).sum();
            ratio(under_way?, computed + elsewhere * time)
        });
        let seats = classes.iter().filter_map(|class| {
            let most = number(class.replicas) * number(class.seats?);
            Some((class.class.clone(), ratio(most, class.demand?)?))
        });
        Self {
            under_way,
            throughput,
            time,
            elsewhere,
            gap: gap(under_way, throughput, evidence, phases),
            bound_by_questions,
            bound_by_seats: seats.min_by(|one, other| one.1.total_cmp(&other.1)),
        }
    }
}

/// Little's law over questions, checked: N = X·R with the times of those that ended in the steady time.
fn gap(n: Option<f64>, x: Option<f64>, evidence: &Evidence, phases: &Phases) -> Option<f64> {
    let tasks = evidence.client.tasks.iter();
    let times: Vec<f64> = tasks
        .filter(|task| task.ended.is_some_and(|ended| phases.steady.has(ended)))
        .filter_map(|task| Some(super::numbers::between(task.began?, task.ended?)))
        .collect();
    let (n, x) = (n?, x?);
    ratio((n - x * super::numbers::mean(&times)?).abs(), n)
}

/// All classes over the steady time.
pub(super) fn all_measured(
    evidence: &Evidence,
    phases: &Phases,
    all: &Block,
) -> (Questions, Vec<Measured>) {
    let throughput = all.flow.throughput();
    let classes: Vec<Measured> = evidence
        .classes
        .iter()
        .map(|class| {
            let sums = Sums::of(class, phases.steady);
            measured(class, &sums, throughput, evidence)
        })
        .collect();
    (
        Questions::of(&all.flow, &classes, evidence, phases),
        classes,
    )
}
