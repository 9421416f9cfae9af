//! The engine of a server stands still while the server answers on: it hangs, or a signal stopped its process.
//!
//! A real engine that is frozen says nothing any more, so `/metrics` answers with what it said last, and requests that
//! were being computed stay where they are (vLLM's API server has no clock of its own for them).

use std::time::Duration;

use super::endpoint::Endpoint;
use super::faults::Kind;
use crate::world::is_stopped;

/// How often is looked whether it stands still, and whether it goes on.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Freezes and thaws the engine of a server, for ever; `engine` is its process, where it has one.
pub(super) async fn freezing(endpoint: &Endpoint, engine: Option<u32>) {
    loop {
        let stopped = || engine.is_some_and(is_stopped);
        if engine.is_none() {
            endpoint.until_it_suffers(Kind::Hang).await;
        }
        let hangs = endpoint.suffers(Kind::Hang) || stopped();
        if hangs != endpoint.is_frozen() {
            endpoint.freeze(hangs);
        }
        while endpoint.is_frozen() && (endpoint.suffers(Kind::Hang) || stopped()) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        if endpoint.is_frozen() {
            endpoint.freeze(false);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
