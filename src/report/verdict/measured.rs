//! Visits, service, queue and utilisation of each class, by the operational laws (Denning and Buzen, "The operational
//! analysis of queueing network models", Computing Surveys 10, 1978).

use schemars::JsonSchema;
use serde::Serialize;

use super::evidence::{Class, Evidence, Seats, SeatsBy};
use super::network::seats_of;
use super::numbers::ratio;
use super::phases::Span;
use super::shared::{Shared, of_all, part};
use super::standstill::stood_still;
use super::sums::{Block, Flow, Sums};
use crate::base::{float, nearest};

/// A look finds someone waiting by chance; fewer such looks say nothing of seats.
const FULL_LOOKS: usize = 5;

/// One class over the judged time; what is unknown is none.
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
    /// Of these, by the client's own times, those of this evaluation, where others use the same servers.
    pub own: Option<f64>,
    /// Its share of all the time that the client's own times account for.
    pub time_share: Option<f64>,
    /// Where its calls under way are not known: no more than this share of the questions' time can be with it.
    pub most_share: Option<f64>,
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
    /// How often each replica was looked at; none where it was never seen.
    pub looks: Option<usize>,
    /// The share of time in which a replica had nothing to do.
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
        ratio(self.running?, float(self.replicas))
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
pub(super) fn measured(class: &Class, sums: &Sums, flow: &Flow, evidence: &Evidence) -> Measured {
    let throughput = flow.throughput();
    let all = float(class.replicas);
    let servers = float(class.series.len());
    let running = sums.computing(servers).map(|running| running * all);
    let waiting = sums.queueing(servers).map(|waiting| waiting * all);
    let seats = seats(class);
    let finished = sums.finished.rate().map(|rate| rate * all);
    let visits = match (finished, throughput, class.calls) {
        (Some(finished), Some(throughput), _) => ratio(finished, throughput),
        (_, _, Some(calls)) => ratio(float(calls.count), float(evidence.client.done)),
        _ => None,
    };
    let service = sums.service();
    // By Little's law that is also the share of the questions under way that are with it.
    let share = class
        .calls
        .and_then(|calls| ratio(calls.seconds(), attributed(evidence)));
    let busy = |running: f64| ratio(running, all * float(seats?.count));
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
        own: (class.calls.filter(|_| !evidence.beside.is_empty()))
            .and_then(|calls| ratio(calls.seconds(), float(evidence.client.done)))
            .and_then(|each| Some(each * throughput?)),
        in_flight: running
            .zip(waiting)
            .map(|(running, waiting)| running + waiting)
            .or_else(|| Some(share? * questions_at_once(flow, evidence)?)),
        time_share: share,
        most_share: None,
        seats: seats.map(|seats| seats.count),
        seats_by: seats.map(|seats| seats.by),
        utilisation: running.and_then(busy),
        waited: sums.waited.rate(),
        cache_full: sums.full.rate(),
        preempted: match (sums.preempted.rate(), sums.finished.rate()) {
            (Some(preempted), Some(finished)) => ratio(preempted, finished),
            _ => None,
        },
        looks: looks(class, sums),
        idle: sums.idling(servers),
        answer_tokens: class.answer_tokens,
    }
}

fn looks(class: &Class, sums: &Sums) -> Option<usize> {
    let servers = float(class.series.len());
    (!class.series.is_empty()).then(|| nearest(sums.running.each(servers)))
}

/// Questions under way (N): as they were seen, else as many as the client may have, and no more than there are.
fn questions_at_once(flow: &Flow, evidence: &Evidence) -> Option<f64> {
    let client = &evidence.client;
    let allowed = || {
        let most = client.total.unwrap_or(usize::MAX);
        client.concurrency.map(|count| float(count.min(most)))
    };
    flow.under_way.rate().or_else(allowed)
}

/// Calls that the results hold are those of this many questions at once, at least.
pub(super) fn floor_hours(evidence: &Evidence) -> Option<f64> {
    let at_once = questions_at_once(&Flow::default(), evidence)?;
    ratio(attributed(evidence) / 3600.0, at_once).filter(|hours| *hours > 0.0)
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
    /// The share of that at no server of which anything is known: the client itself, code, the judge, and what is `unseen`.
    pub elsewhere: Option<f64>,
    /// Classes of which nobody knows how many calls were under way.
    pub unseen: Vec<String>,
    /// Other evaluations that the same servers worked for at the same time.
    pub shared: Option<Shared>,
    /// Servers at which questions were while they stood still: that is part of `elsewhere`, too.
    pub stood_still: Vec<String>,
    /// How far N is from X times the mean time of questions that were seen to begin and end, as a share of N.
    pub gap: Option<f64>,
    /// No more than so many per second, whatever the queues are (N over the time without waiting for anyone else).
    pub bound_by_questions: Option<f64>,
    /// No more than so many per second, because of the seats of this class.
    pub bound_by_seats: Option<(String, f64)>,
}

impl Questions {
    pub(super) fn of(flow: &Flow, classes: &[Measured], evidence: &Evidence, judged: Span) -> Self {
        let under_way = questions_at_once(flow, evidence);
        let throughput = flow.throughput();
        let time = under_way.zip(throughput).and_then(|(n, x)| ratio(n, x));
        let shared = Shared::of(evidence, classes, under_way);
        let known = classes
            .iter()
            .filter_map(|class| part(class, shared.as_ref(), under_way));
        let known: f64 = known.map(|(calls, _)| calls).sum();
        let any = classes.iter().any(Measured::knows_queue);
        let elsewhere = of_all(shared.as_ref(), under_way)
            .filter(|_| any)
            .and_then(|n| ratio((n - known).max(0.0), n));
        let unseen = classes.iter().filter(|class| class.in_flight.is_none());
        let unseen: Vec<String> = unseen.map(|class| class.class.clone()).collect();
        // What was not seen may wait, and that is no time without waiting.
        let free =
            elsewhere.filter(|_| classes.iter().all(|one| one.knows_queue() || one.gpus == 0));
        // What others asked is no part of this evaluation's time.
        let free = free.filter(|_| shared.is_none());
        let bound_by_questions = time.zip(free).and_then(|(time, elsewhere)| {
            let computed: f64 = classes.iter().filter_map(|class| class.demand).sum();
            ratio(under_way?, computed + elsewhere * time)
        });
        let seats = classes.iter().filter_map(|class| {
            let most = float(class.replicas) * float(class.seats?);
            Some((class.class.clone(), ratio(most, class.demand?)?))
        });
        Self {
            under_way,
            throughput,
            time,
            elsewhere,
            unseen,
            shared,
            stood_still: stood_still(evidence, judged),
            gap: gap(under_way, throughput, evidence, judged),
            bound_by_questions,
            bound_by_seats: seats.min_by(|one, other| one.1.total_cmp(&other.1)),
        }
    }
}

/// Little's law over questions, checked: N = X·R with the times of those that ended in the judged time.
fn gap(n: Option<f64>, x: Option<f64>, evidence: &Evidence, judged: Span) -> Option<f64> {
    let tasks = evidence.client.tasks.iter();
    let times: Vec<f64> = tasks
        .filter(|task| task.ended.is_some_and(|ended| judged.has(ended)))
        .filter_map(|task| Some(super::numbers::between(task.began?, task.ended?)))
        .collect();
    let (n, x) = (n?, x?);
    ratio((n - x * super::numbers::mean(&times)?).abs(), n)
}

/// All classes over the judged time.
pub(super) fn all_measured(
    evidence: &Evidence,
    judged: Span,
    all: &Block,
) -> (Questions, Vec<Measured>) {
    let mut classes: Vec<Measured> = evidence
        .classes
        .iter()
        .map(|class| measured(class, &Sums::of(class, judged), &all.flow, evidence))
        .collect();
    let questions = Questions::of(&all.flow, &classes, evidence, judged);
    for class in classes.iter_mut().filter(|class| class.in_flight.is_none()) {
        class.most_share = questions.elsewhere;
    }
    (questions, classes)
}
