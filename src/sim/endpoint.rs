//! One simulated server at run time: its counters, and the places in its running batch.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::batch::{Moment, Rates};
use super::chat::Completion;
use super::config::{FULL_REQUESTS, SimConfig, Timing};
use super::engine::{Engine, Load, Seat};
use super::errors::ApiError;
use super::faults::{Fault, Kind};
use super::log::{Log, Writer};
use super::metrics::{Finished, Metrics};
use super::openai::Stamp;
use super::scheduler;

/// One simulated server at run time.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// What it is.
    pub(super) config: SimConfig,
    /// Its log.
    pub(super) log: Log,
    /// Its counters.
    pub(super) metrics: Metrics,
    pacer: Pacer,
    answers: AtomicU64,
    /// Its engine is gone.
    dead: watch::Sender<bool>,
    /// Its engine stands still; what `/metrics` said last.
    frozen: watch::Sender<Option<String>>,
    /// When it was ready.
    ready: Instant,
    /// What goes wrong, counted from then.
    faults: watch::Sender<Vec<Fault>>,
    /// Whose its process is.
    pub(super) home: Home,
}

/// Whose a server's process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// Its own.
    Own,
    /// Many servers share it, and none of them has a log.
    Shared,
}

/// What decides when a request is computed, and how long it takes.
#[derive(Debug)]
enum Pacer {
    /// So many at once, each for the same time.
    Fixed(Arc<Semaphore>, Duration),
    /// A batching engine.
    Engine(Arc<Engine>),
}

impl Pacer {
    fn new(config: &SimConfig) -> Self {
        match config.timing {
            Timing::Fixed(latency) => {
                let places = config.max_num_seqs.min(Semaphore::MAX_PERMITS);
                Self::Fixed(Arc::new(Semaphore::new(places)), latency)
            }
            Timing::Batching {
                prefill_rate,
                decode_rate,
                batch_slowdown,
                cache_tokens,
                speed,
            } => {
                let full = u64::from(config.max_model_len) * FULL_REQUESTS;
                let rates = Rates {
                    sequences: config.max_num_seqs,
                    cache: cache_tokens.unwrap_or(full),
                    ..Rates::of(prefill_rate, decode_rate, batch_slowdown)
                };
                Self::Engine(Arc::new(Engine::new(rates, speed)))
            }
        }
    }
}

impl Endpoint {
    /// A server that has answered nothing yet.
    pub(super) fn new(config: SimConfig, home: Home) -> Self {
        Self {
            log: Log::new(&config),
            metrics: Metrics::new(config.max_model_len),
            pacer: Pacer::new(&config),
            answers: AtomicU64::new(0),
            dead: watch::Sender::new(false),
            frozen: watch::Sender::new(None),
            ready: Instant::now(),
            faults: watch::Sender::new(config.faults.clone()),
            home,
            config,
        }
    }

    /// Waits until what its model knows is read; the first to ask begins it.
    pub(super) async fn read_dataset(&self) {
        let dataset = self.config.conduct.dataset.as_ref();
        if let Some(dataset) = dataset
            && let Some(wrong) = dataset.ready().await
        {
            self.log.line(Writer::Api, "WARNING", "dataset", &wrong);
        }
    }

    /// What it computes at this moment; without an engine a request fills one place of the cache.
    pub(super) fn load(&self) -> Load {
        match &self.pacer {
            Pacer::Engine(engine) => engine.load(),
            Pacer::Fixed(..) => {
                let [_, _, running, waiting] = self.metrics.totals();
                let places = u64::try_from(self.config.max_num_seqs).unwrap_or(u64::MAX);
                Load {
                    running,
                    waiting,
                    cache: (running * 1000 / places.max(1)).min(1000),
                    engine: None,
                }
            }
        }
    }

    /// How long it has been ready.
    pub(super) fn age(&self) -> Duration {
        self.ready.elapsed()
    }

    /// Lets something more go wrong.
    pub(super) fn strike(&self, fault: Fault) {
        self.faults.send_modify(|faults| faults.push(fault));
    }

    /// Nothing goes wrong any more, whatever the timeline had in store.
    pub(super) fn heal(&self) {
        self.faults.send_replace(Vec::new());
    }

    /// Whether this goes wrong at this moment.
    pub(super) fn suffers(&self, kind: Kind) -> bool {
        let now = self.age();
        let faults = self.faults.borrow();
        faults
            .iter()
            .any(|fault| fault.kind == kind && fault.is_on(now))
    }

    /// Waits until this goes wrong, and says for how long; for ever where it never does.
    pub(super) async fn until_it_suffers(&self, kind: Kind) -> Fault {
        let mut faults = self.faults.subscribe();
        loop {
            let now = self.age();
            let to_come = faults.borrow_and_update().clone().into_iter();
            let next = to_come
                .filter(|fault| fault.kind == kind && (fault.after > now || fault.is_on(now)))
                .min_by_key(|fault| fault.after);
            let begins = async {
                match next {
                    Some(fault) => {
                        tokio::time::sleep_until((self.ready + fault.after).into()).await;
                        fault
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                fault = begins => return fault,
                // The sender lives as long as we do.
                _ = faults.changed() => {}
            }
        }
    }

    /// The text of `/metrics`.
    pub(super) fn page(&self) -> String {
        if let Some(page) = &*self.frozen.borrow() {
            return page.clone();
        }
        let model = self.config.served.first().map_or("", String::as_str);
        let load = self.load();
        self.metrics.text(model, self.config.release, &load)
    }

    /// Whether its engine stands still.
    pub(super) fn is_frozen(&self) -> bool {
        self.frozen.borrow().is_some()
    }

    /// Lets its engine stand still, or go on.
    pub(super) fn freeze(&self, frozen: bool) {
        if let Pacer::Engine(engine) = &self.pacer {
            engine.freeze(frozen);
        }
        let page = frozen.then(|| self.page());
        self.frozen.send_replace(page);
    }

    /// Waits until its engine goes on.
    pub(super) async fn thawed(&self) {
        // The sender lives as long as we do.
        let _ = self.frozen.subscribe().wait_for(Option::is_none).await;
    }

    /// Its engine is gone: whoever is answered gets an error.
    pub(super) fn declare_dead(&self) {
        self.dead.send_replace(true);
    }

    /// Whether its engine is gone.
    pub(super) fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    /// Waits until its engine is gone.
    pub(super) async fn death(&self) {
        // The sender lives as long as we do.
        let _ = self.dead.subscribe().wait_for(|dead| *dead).await;
    }

    /// What marks the next answer.
    pub(super) fn stamp(&self) -> Stamp {
        let number = self.answers.fetch_add(1, Ordering::Relaxed);
        let seed = (u64::from(std::process::id()) << 20) ^ u64::from(self.config.port);
        let created = jiff::Timestamp::now().as_second();
        Stamp {
            id: format!(
                "{:016x}{number:016x}",
                seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ),
            created,
        }
    }

    /// The answer to a request that failed, which is logged where vLLM logs it.
    pub(super) fn refuse(&self, error: &ApiError) -> Response {
        if let Some((place, text)) = error.log_text(self.config.release) {
            self.log.line(Writer::Api, "ERROR", place, &text);
        }
        let status =
            StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(error.body(self.config.release))).into_response()
    }
}

/// Which server a connection reached, and from where.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// The server.
    pub(super) endpoint: Arc<Endpoint>,
    /// The other end; `None` for the listener itself.
    pub(super) remote: Option<SocketAddr>,
}

/// A place in the running batch. Dropped before its end (the client left), it counts as an abort.
pub(super) struct Running {
    endpoint: Arc<Endpoint>,
    place: Place,
    request: Finished,
    /// Tokens of its answer.
    wanted: usize,
    /// How long it has been computed, where that takes a fixed time.
    computed: Duration,
    arrived: Instant,
    done: bool,
}

/// Tokens of an answer that takes a fixed time are counted this often: a server at work is seen to work.
const SLICE: Duration = Duration::from_secs(1);

/// A place in a batch.
enum Place {
    /// One of so many, for a fixed time.
    Slot {
        _permit: Option<OwnedSemaphorePermit>,
        latency: Duration,
    },
    /// In an engine.
    Seat(Seat),
}

impl Running {
    /// Waits for a place.
    pub(super) async fn admit(
        endpoint: Arc<Endpoint>,
        completion: &Completion,
        arrived: Instant,
    ) -> Self {
        let queue = Queued::enter(&endpoint);
        let (place, queued) = match &endpoint.pacer {
            Pacer::Fixed(slots, latency) => {
                let permit = Arc::clone(slots).acquire_owned().await.ok();
                let place = Place::Slot {
                    _permit: permit,
                    latency: *latency,
                };
                (place, arrived.elapsed())
            }
            Pacer::Engine(engine) => {
                let tokens = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
                let (read, written) = (completion.tokens_in, completion.tokens_out);
                let mut seat = engine.enter(tokens(read), tokens(written));
                let queued = seat.until(Moment::Started).await;
                (Place::Seat(seat), queued)
            }
        };
        drop(queue);
        endpoint.metrics.started();
        let request = Finished {
            reason: "abort",
            prompt_tokens: completion.tokens_in,
            completion_tokens: 0,
            counted: 0,
            total: Duration::ZERO,
            queued,
            first_token: queued,
            parsed: None,
            streamed: false,
        };
        Self {
            endpoint,
            place,
            request,
            wanted: completion.tokens_out,
            computed: Duration::ZERO,
            arrived,
            done: false,
        }
    }

    /// Is computed for so long, of an answer that takes a fixed time; tokens are counted as they come.
    async fn compute(&mut self, latency: Duration, length: Duration) {
        let mut left = length;
        while !left.is_zero() {
            let slice = left.min(SLICE);
            tokio::time::sleep(slice).await;
            self.endpoint.thawed().await;
            self.computed += slice;
            left -= slice;
            let share = self
                .computed
                .as_millis()
                .saturating_mul(self.wanted as u128);
            let due = share.checked_div(latency.as_millis()).unwrap_or_default();
            let due = usize::try_from(due).unwrap_or(usize::MAX);
            let more = due
                .min(self.wanted.saturating_sub(1))
                .saturating_sub(self.request.counted);
            self.endpoint.metrics.wrote(more);
            self.request.counted += more;
        }
    }

    /// Whether it is answered piece by piece.
    pub(super) fn streamed(&mut self, streamed: bool) {
        self.request.streamed = streamed;
    }

    /// Waits until the first token is out.
    pub(super) async fn first_token(&mut self) {
        self.request.first_token = match &mut self.place {
            Place::Slot { latency, .. } => {
                let latency = *latency;
                self.compute(latency, scheduler::first(latency)).await;
                self.arrived.elapsed()
            }
            Place::Seat(seat) => seat.until(Moment::FirstToken).await,
        };
    }

    /// Waits until the next of so many pieces is out; where an engine decides, about so long.
    pub(super) async fn piece(&mut self, pieces: usize) {
        match &mut self.place {
            Place::Slot { latency, .. } => {
                let latency = *latency;
                self.compute(latency, scheduler::gap(latency, pieces)).await;
            }
            Place::Seat(seat) => {
                seat.piece(pieces).await;
                self.endpoint.thawed().await;
            }
        }
    }

    /// Waits until the last token is out, and counts the request.
    pub(super) async fn finish(&mut self, completion: &Completion) {
        self.request.total = match &mut self.place {
            Place::Slot { .. } => self.arrived.elapsed(),
            Place::Seat(seat) => seat.until(Moment::Finished).await,
        };
        self.done = true;
        self.request.reason = completion.finish;
        self.request.completion_tokens = completion.tokens_out;
        self.request.parsed = completion.parsed;
        self.endpoint.metrics.finished(&self.request);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.endpoint.metrics.stopped();
        if !self.done {
            self.request.total = self.arrived.elapsed();
            self.request.completion_tokens = self.request.counted;
            self.endpoint.metrics.finished(&self.request);
        }
    }
}

/// A place in the queue, left however the waiting ends.
struct Queued<'a>(&'a Endpoint);

impl<'a> Queued<'a> {
    fn enter(endpoint: &'a Endpoint) -> Self {
        endpoint.metrics.queued();
        Self(endpoint)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.metrics.unqueued();
    }
}
