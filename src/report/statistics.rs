//! How many calls went where, and how long they took.

use std::collections::BTreeMap;

use crate::eval::Call;

/// Calls to one model, or to one replica of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CallStats {
    /// How many.
    pub calls: usize,
    /// Of these, failed.
    pub failed: usize,
    /// Of these, with a time; the times below are of those.
    pub timed: usize,
    /// The mean in milliseconds.
    pub mean: f64,
    /// The median.
    pub p50: f64,
    /// Nine of ten were faster.
    pub p90: f64,
    /// All but one in a hundred were faster.
    pub p99: f64,
}

impl CallStats {
    fn of(calls: &[&Call]) -> Self {
        let mut times: Vec<f64> = calls.iter().filter_map(|call| call.ms).collect();
        times.sort_unstable_by(f64::total_cmp);
        let quantile = |q| quantile(&times, q).unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "fewer calls than 2^52")]
        let mean = times.iter().sum::<f64>() / times.len().max(1) as f64;
        Self {
            calls: calls.len(),
            failed: calls.iter().filter(|call| call.failed).count(),
            timed: times.len(),
            mean,
            p50: quantile(0.50),
            p90: quantile(0.90),
            p99: quantile(0.99),
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
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index below the number of values, which is far below 2^52"
)]
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = q.clamp(0.0, 1.0) * last as f64;
    let below = (rank.floor() as usize).min(last);
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (rank - below as f64))
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
