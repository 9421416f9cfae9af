//! When a server may start: staggered on its node, or after the one that warms the cache.

use crate::base::{Millis, UnitId};
use crate::spec::model::{CachePolicy, ModelSpec};

use super::Start;

/// The start of the `position`-th server of a model on its node; `first` is the one at position 0.
pub(crate) fn of_replica(model: &ModelSpec, position: usize, first: &UnitId) -> Start {
    let stagger = model.stagger.map_or(0, |stagger| stagger.0.0);
    let times = |number: usize| {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        Millis(stagger.saturating_mul(number))
    };
    match model.cache.unwrap_or(CachePolicy::PerReplica) {
        CachePolicy::WarmFirst if position > 0 => Start {
            after_ready: vec![first.clone()],
            delay: times(position - 1),
        },
        CachePolicy::WarmFirst | CachePolicy::PerReplica => Start {
            after_ready: Vec::new(),
            delay: times(position),
        },
    }
}
