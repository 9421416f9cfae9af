//! What a server counted of its requests. Pure.

use serde::{Deserialize, Serialize};

use super::exposition::{Line, lines};
use crate::base::{Generation, UnitId, floor};
use crate::knowledge::metrics::SUCCESS;

/// Requests of one start of a server, as the server counts them and as far as they are ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// Which server.
    pub unit: UnitId,
    /// Which start: each counts from nothing.
    pub generation: Generation,
    /// Requests that it finished; aborts are their clients' doing, and leave no answer.
    pub finished: u64,
    /// Of these, probes and canaries.
    pub ours: u64,
    /// Probes that brought no answer: it may have finished them or not.
    pub unsure: u64,
}

/// Finished requests by vLLM's page of metrics, aborts apart; none where the page counts none.
pub fn finished(page: &str) -> Option<u64> {
    let counts = lines(page).filter(|line| line.name == SUCCESS);
    let counts = counts.filter_map(|line| Some((is_abort(&line), line.value()?)));
    counts.fold(None, |sum, (is_abort, count)| {
        let count = if is_abort { 0 } else { floor(count) };
        Some(sum.unwrap_or(0) + count)
    })
}

/// What it counts are requests whose client left.
pub(super) fn is_abort(line: &Line<'_>) -> bool {
    line.label("finished_reason")
        .is_some_and(|reason| reason == "abort")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_reasons_but_aborts_are_added_up() {
        let page = "# HELP vllm:request_success_total Count of successfully processed requests.\n\
            vllm:request_success_total{engine=\"0\",finished_reason=\"stop\",model_name=\"a}b\"} 5.0\n\
            vllm:request_success_total{engine=\"1\",finished_reason=\"stop\"} 2.0 1700000000\n\
            vllm:request_success_total{engine=\"0\",finished_reason=\"length\"} 1.0\n\
            vllm:request_success_total{engine=\"0\",finished_reason=\"abort\"} 9.0\n\
            vllm:request_success_created{engine=\"0\"} 1.7e9\n";
        assert_eq!(finished(page), Some(8));
        assert_eq!(finished("vllm:num_requests_running 3.0\n"), None);
        assert_eq!(finished(""), None);
    }
}
