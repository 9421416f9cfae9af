//! One simulated server at run time: its counters, and the places in its running batch.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::chat::Completion;
use super::config::SimConfig;
use super::errors::ApiError;
use super::log::{Log, Writer};
use super::metrics::{Finished, Metrics};
use super::openai::Stamp;

/// One simulated server at run time.
#[derive(Debug)]
pub(super) struct Endpoint {
    /// What it is.
    pub(super) config: SimConfig,
    /// Its log.
    pub(super) log: Log,
    /// Its counters.
    pub(super) metrics: Metrics,
    slots: Arc<Semaphore>,
    answers: AtomicU64,
}

impl Endpoint {
    /// A server that has answered nothing yet.
    pub(super) fn new(config: SimConfig) -> Self {
        let slots = Arc::new(Semaphore::new(
            config.max_num_seqs.min(Semaphore::MAX_PERMITS),
        ));
        Self {
            log: Log::new(&config),
            metrics: Metrics::new(),
            slots,
            answers: AtomicU64::new(0),
            config,
        }
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
    _slot: Option<OwnedSemaphorePermit>,
    request: Finished,
    arrived: Instant,
    done: bool,
}

impl Running {
    /// Waits for a place.
    pub(super) async fn admit(
        endpoint: Arc<Endpoint>,
        completion: &Completion,
        arrived: Instant,
    ) -> Self {
        let queue = Queued::enter(&endpoint);
        let slot = Arc::clone(&endpoint.slots).acquire_owned().await.ok();
        drop(queue);
        endpoint.metrics.started();
        let queued = arrived.elapsed();
        let request = Finished {
            reason: "abort",
            prompt_tokens: completion.tokens_in,
            completion_tokens: 0,
            total: Duration::ZERO,
            queued,
            first_token: queued,
            parsed: None,
            streamed: false,
        };
        Self {
            endpoint,
            _slot: slot,
            request,
            arrived,
            done: false,
        }
    }

    /// Whether it is answered piece by piece.
    pub(super) fn streamed(&mut self, streamed: bool) {
        self.request.streamed = streamed;
    }

    /// The first token is out.
    pub(super) fn first_token(&mut self) {
        self.request.first_token = self.arrived.elapsed();
    }

    /// The last token is out.
    pub(super) fn finish(&mut self, completion: &Completion) {
        self.done = true;
        self.request.reason = completion.finish;
        self.request.completion_tokens = completion.tokens_out;
        self.request.parsed = completion.parsed;
        self.request.total = self.arrived.elapsed();
        self.endpoint.metrics.finished(&self.request);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.endpoint.metrics.stopped();
        if !self.done {
            self.request.total = self.arrived.elapsed();
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
