//! A closed network of servers that batch: how many questions a second it brings.
//!
//! Each replica is a station of its own, at which a request arrives by chance; it computes up to its seats at once, each the
//! slower the more there are. What is at no server is a station without a queue. For such networks the throughput is a
//! quotient of two sums over all states (Buzen, "Computational algorithms for closed queueing networks with exponential
//! servers", CACM 16, 1973; load-dependent stations: Reiser and Lavenberg, JACM 27, 1980), exact where service times are
//! exponential or servers share their time, and near it where they are neither.

use crate::base::{float, nearest};

/// Weights below this share of the greatest are left out.
const NOTHING: f64 = 1e-40;

/// One class.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Station {
    /// Calls of a question (V).
    pub(super) visits: f64,
    /// Servers (m).
    pub(super) replicas: usize,
    /// Requests that one computes at once (c); none if nobody ever waited for a place.
    pub(super) seats: Option<usize>,
    /// Seconds that a request is computed (S) in the company in which that was seen.
    pub(super) service: f64,
    /// That company: requests computed at once, this one included.
    pub(super) company: f64,
    /// What each further request adds, as a share of the time of one that is alone.
    pub(super) slowdown: f64,
}

impl Station {
    /// Seconds that a request is computed where so many are.
    fn time(&self, requests: f64) -> f64 {
        let slower = |company: f64| 1.0 + self.slowdown * (company - 1.0).max(0.0);
        self.service * slower(requests) / slower(self.company)
    }

    /// Requests per second of one server with so many requests, waiting ones included.
    fn rate(&self, requests: usize) -> f64 {
        let computed = self.seats.map_or(requests, |seats| requests.min(seats));
        float(computed) / self.time(float(computed)).max(f64::MIN_POSITIVE)
    }

    /// The questions per second that its seats can bring; none where nobody knows how many there are.
    pub(super) fn most(&self) -> Option<f64> {
        let one = self.rate(self.seats?);
        (self.visits > 0.0).then(|| float(self.replicas) * one / self.visits)
    }
}

/// All of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Network {
    /// Questions under way (N).
    pub(super) population: usize,
    /// The classes.
    pub(super) stations: Vec<Station>,
    /// Seconds of a question at no server (Z).
    pub(super) delay: f64,
}

impl Network {
    /// Questions per second (X); none where there is nothing to do.
    pub(super) fn throughput(&self) -> Option<f64> {
        let least: f64 = self
            .stations
            .iter()
            .map(|station| station.visits * station.time(1.0))
            .sum::<f64>()
            + self.delay;
        if self.population == 0 || least <= 0.0 {
            return None;
        }
        let all = float(self.population);
        // The unit of time is free. In that of the bound on the result the sums are even, and none is too small for a number.
        let first = self
            .stations
            .iter()
            .filter(|station| station.visits > 0.0)
            .map(|station| {
                let most = float(station.replicas) * station.rate(self.population);
                most / station.visits
            })
            .fold(all / least, f64::min);
        let found = first * self.quotient(first)?;
        found.is_finite().then_some(found)
    }

    fn quotient(&self, unit: f64) -> Option<f64> {
        let size = self.population;
        let mut sums = weights(size, |_| self.delay * unit, true);
        for station in &self.stations {
            let share = station.visits / float(station.replicas.max(1));
            if share <= 0.0 {
                continue;
            }
            let one = weights(size, |n| share * unit / station.rate(n), false);
            let all = power(&one, station.replicas.max(1));
            sums = convolved(&sums, &all);
        }
        let (last, before) = (sums.get(size)?, sums.get(size.checked_sub(1)?)?);
        (*last > 0.0 && *before > 0.0).then(|| before / last)
    }
}

/// The weight of each number of requests at a station, the greatest of them 1. `each` is the time that the n-th brings; where
/// they do not wait for each other it is divided by n.
fn weights(size: usize, each: impl Fn(usize) -> f64, apart: bool) -> Vec<f64> {
    let mut logs = vec![0.0_f64];
    for n in 1..=size {
        let time = if apart { each(n) / float(n) } else { each(n) };
        logs.push(logs[n - 1] + time.max(1e-300).ln());
    }
    let greatest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logs.iter().map(|log| (log - greatest).exp()).collect()
}

fn convolved(one: &[f64], other: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; one.len()];
    let counts = |(_, weight): &(usize, &f64)| **weight > NOTHING;
    for (index, weight) in one.iter().enumerate().filter(counts) {
        for (sum, add) in sums[index..].iter_mut().zip(other) {
            *sum += weight * add;
        }
    }
    let greatest = sums.iter().copied().fold(0.0, f64::max);
    if greatest > 0.0 {
        for sum in &mut sums {
            *sum /= greatest;
        }
    }
    sums
}

/// So many stations alike.
fn power(one: &[f64], times: usize) -> Vec<f64> {
    let mut square = one.to_vec();
    let mut left = times;
    let mut all: Option<Vec<f64>> = None;
    while left > 0 {
        if left % 2 == 1 {
            all = Some(all.map_or_else(|| square.clone(), |all| convolved(&all, &square)));
        }
        left /= 2;
        if left > 0 {
            square = convolved(&square, &square);
        }
    }
    all.unwrap_or(square)
}

/// The seats that samples of a full server show: nine of ten were not more.
pub(super) fn seats_of(full: &mut [f64]) -> Option<usize> {
    full.sort_unstable_by(f64::total_cmp);
    let seats = nearest(crate::report::quantile(full, 0.9)?);
    (seats > 0).then_some(seats)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn station(replicas: usize, seats: usize, service: f64) -> Station {
        Station {
            visits: 1.0,
            replicas,
            seats: Some(seats),
            service,
            company: 1.0,
            slowdown: 0.0,
        }
    }

    fn throughput(population: usize, stations: Vec<Station>, delay: f64) -> f64 {
        let network = Network {
            population,
            stations,
            delay,
        };
        network.throughput().unwrap()
    }

    #[track_caller]
    fn near(seen: f64, expected: f64) {
        assert!((seen / expected - 1.0).abs() < 1e-9, "{seen} {expected}");
    }

    #[test]
    fn the_textbook_is_right() {
        // Two single servers of 1 s each: X = N / (N + 1).
        let two = || vec![station(1, 1, 1.0), station(1, 1, 1.0)];
        near(throughput(1, two(), 0.0), 0.5);
        near(throughput(9, two(), 0.0), 0.9);
        // One server and a delay of 10 s: the machine repair model, X = (1 - p0) / S.
        let (mut inverse, mut term) = (1.0, 1.0);
        for n in 0..5 {
            term *= float(5_usize - n) * 0.2;
            inverse += term;
        }
        near(
            throughput(5, vec![station(1, 1, 2.0)], 10.0),
            (1.0 - 1.0 / inverse) / 2.0,
        );
        // Who never waits takes S + Z.
        near(throughput(8, vec![station(1, 8, 3.0)], 5.0), 1.0);
    }

    #[test]
    fn replicas_are_stations_of_their_own() {
        // Two replicas with half of the calls each are two stations of half the demand.
        let mut half = station(1, 1, 1.0);
        half.visits = 0.5;
        let apart = throughput(7, vec![half.clone(), half], 2.0);
        near(throughput(7, vec![station(2, 1, 1.0)], 2.0), apart);
    }

    #[test]
    fn many_questions_are_no_trouble() {
        let full = throughput(2000, vec![station(8, 32, 60.0), station(4, 16, 1.0)], 3.0);
        assert!((full / (8.0 * 32.0 / 60.0) - 1.0).abs() < 1e-2, "{full}");
        let few = throughput(1, vec![station(8, 32, 60.0)], 40.0);
        near(few, 0.01);
    }

    #[test]
    fn who_has_company_is_slower() {
        let slow = Station {
            slowdown: 0.1,
            ..station(1, 10, 1.0)
        };
        // Ten at once: 1.9 s each.
        near(throughput(10, vec![slow.clone()], 0.0), 10.0 / 1.9);
        // Seen in company of ten, it is 1 / 1.9 of that when alone.
        let seen = Station {
            company: 10.0,
            service: 1.9,
            ..slow
        };
        near(throughput(1, vec![seen], 0.0), 1.0);
    }
}
