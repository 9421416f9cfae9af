//! How many calls went where, and how long they took.

use std::collections::BTreeMap;

use super::tables::Distribution;
use crate::base::{float, floor};
use crate::eval::Call;

/// Calls to one model, or to one replica of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CallStats {
    /// How many.
    pub calls: usize,
    /// Of these, failed.
    pub failed: usize,
    /// The times of those that have one.
    pub seconds: Option<Distribution>,
}

impl CallStats {
    fn of(calls: &[&Call]) -> Self {
        Self {
            calls: calls.len(),
            failed: calls.iter().filter(|call| call.failed).count(),
            seconds: Distribution::of(calls.iter().filter_map(|call| call.ms)),
        }
    }
}

/// Statistics by model and, within it, by replica; the empty endpoint stands for all of them.
pub fn statistics(calls: &[Call]) -> BTreeMap<(String, String), CallStats> {
    let mut groups: BTreeMap<(String, String), Vec<&Call>> = BTreeMap::new();
    for call in calls {
        let mut add = |endpoint: &str| {
            let key = (call.model.clone(), endpoint.to_owned());
            groups.entry(key).or_default().push(call);
        };
        add("");
        if let Some(endpoint) = &call.endpoint {
            add(endpoint);
        }
    }
    groups
        .into_iter()
        .map(|(key, calls)| (key, CallStats::of(&calls)))
        .collect()
}

/// The `q`-quantile of sorted values with numpy's linear interpolation; none of nothing.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = q.clamp(0.0, 1.0) * float(last);
    let below = floor::<usize>(rank).min(last);
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (rank - float(below)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numpys() {
        // numpy.quantile([1, 2, 4, 8], [0, .5, .9, .99, 1])
        let values = [1.0, 2.0, 4.0, 8.0];
        let seen = [0.0, 0.5, 0.9, 0.99, 1.0].map(|q| quantile(&values, q).unwrap());
        for (seen, expected) in seen.iter().zip([1.0, 3.0, 6.8, 7.88, 8.0]) {
            assert!((seen - expected).abs() < 1e-9, "{seen} {expected}");
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
    }
}
