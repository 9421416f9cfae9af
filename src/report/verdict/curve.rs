//! How much longer a request is computed for each other that is computed beside it.

use super::evidence::Class;
use super::numbers::ratio;
use super::phases::Phases;
use crate::base::{Chance, float};

/// What each further request adds to a step, as a share of a step with one, where it was not seen: a step reads the weights
/// once for all of its requests, so this is little (vLLM's models on one card: some 1 to 3 %).
const USUAL: f64 = 0.02;
/// The most that is reckoned with where it was not seen.
const MOST: f64 = 0.05;
/// Company has to vary by so many requests before anything is read from it.
const VARIED: f64 = 1.0;
/// Samples from which a line is drawn.
const LEAST: usize = 10;

/// What each further request adds to a step, as a share of a step with one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Slowdown {
    /// Seen, with its standard error.
    Seen { value: f64, error: f64 },
    /// Not seen: the class was never busier or less busy than it is.
    Assumed,
}

impl Slowdown {
    /// The likeliest value.
    pub(super) fn value(self) -> f64 {
        match self {
            Self::Seen { value, .. } => value,
            Self::Assumed => USUAL,
        }
    }

    /// One that may be, too.
    pub(super) fn drawn(self, chance: &mut Chance) -> f64 {
        match self {
            Self::Seen { value, error } => (value + error * normal(chance)).max(0.0),
            Self::Assumed => MOST * chance.uniform(),
        }
    }

    /// From how fast tokens came at different numbers of requests: the time between two tokens of a request is a straight
    /// line over them.
    pub(super) fn of(class: &Class, phases: &Phases) -> Self {
        let points = points(class, phases);
        if points.len() < LEAST {
            return Self::Assumed;
        }
        let weight: f64 = points.iter().map(|point| point.weight).sum();
        let mean = |value: fn(&Point) -> f64| {
            let sum: f64 = points.iter().map(|point| point.weight * value(point)).sum();
            sum / weight
        };
        let (company, gap) = (mean(|point| point.company), mean(|point| point.gap));
        let (mut spread, mut slant) = (0.0, 0.0);
        for point in &points {
            let off = point.company - company;
            spread += point.weight * off * off;
            slant += point.weight * off * (point.gap - gap);
        }
        if spread / weight < VARIED * VARIED {
            return Self::Assumed;
        }
        let slope = slant / spread;
        let alone = gap - slope * (company - 1.0);
        let missed: f64 = points
            .iter()
            .map(|point| {
                let miss = point.gap - gap - slope * (point.company - company);
                point.weight * miss * miss
            })
            .sum();
        let degrees = float(points.len() - 2);
        let error = (missed / degrees / spread).sqrt();
        match (ratio(slope, alone), ratio(error, alone)) {
            (Some(value), Some(error)) => Self::Seen {
                value: value.max(0.0),
                error,
            },
            _ => Self::Assumed,
        }
    }
}

/// Requests that were computed together, and the seconds from one token of each to its next.
struct Point {
    company: f64,
    gap: f64,
    weight: f64,
}

fn points(class: &Class, phases: &Phases) -> Vec<Point> {
    let cold = phases.cold.iter().find(|cold| cold.class == class.name);
    let mut points = Vec::new();
    for series in &class.series {
        let mut before = None;
        for window in &series.windows {
            let now = window.running;
            if let (Some(before), Some(now), Some(tokens)) = (before, now, window.generated)
                && tokens > 0.0
                && cold.is_none_or(|cold| window.at > cold.until)
            {
                // A look is a moment; what was between two of them is best known as their mean.
                let company: f64 = f64::midpoint(before, now);
                if company >= 1.0 {
                    points.push(Point {
                        company,
                        gap: company * window.length.as_secs_f64() / tokens,
                        weight: tokens,
                    });
                }
            }
            before = now;
        }
    }
    points
}

/// A normal number: the sum of twelve uniform ones is normal enough for an error.
fn normal(chance: &mut Chance) -> f64 {
    (0..12).map(|_| chance.uniform()).sum::<f64>() - 6.0
}
