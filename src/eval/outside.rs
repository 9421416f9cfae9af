//! What would have left the machine, from the log of the proxy that lets nothing out.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::base::Timestamp;

/// A place outside that a rehearsal tried to reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// Its name or address in lower case, an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How often it was refused.
    pub times: u64,
    /// When it was refused first.
    pub first_at: Timestamp,
}

/// What matters of a line of the log.
#[derive(Deserialize)]
struct Line {
    at: String,
    host: String,
    port: u16,
}

/// The places in a log of `toolorch sim proxy`, the most often tried first, then by name and port.
///
/// A line that is none is passed over: the last one of a proxy that was killed may be torn.
pub fn outside_of(log_text: &str) -> Vec<Outside> {
    let mut places: BTreeMap<(String, u16), (u64, Timestamp)> = BTreeMap::new();
    for (place, at) in log_text.lines().filter_map(refused) {
        let (times, first_at) = places.entry(place).or_insert((0, at));
        *times += 1;
        *first_at = at.min(*first_at);
    }
    let mut found: Vec<Outside> = places
        .into_iter()
        .map(|((host, port), (times, first_at))| Outside {
            host,
            port,
            times,
            first_at,
        })
        .collect();
    // A stable sort: those of the same number stay in the order of their names.
    found.sort_by_key(|place| std::cmp::Reverse(place.times));
    found
}

fn refused(line: &str) -> Option<((String, u16), Timestamp)> {
    let line: Line = serde_json::from_str(line).ok()?;
    let at: jiff::Timestamp = line.at.parse().ok()?;
    let at = u64::try_from(at.as_millisecond()).ok()?;
    Some(((line.host.to_lowercase(), line.port), Timestamp(at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: u64, host: &str, port: u16) -> String {
        format!(
            "{{\"at\":\"2026-01-02T03:04:{second:02}.500Z\",\"method\":\"CONNECT\",\"host\":\"{host}\",\
             \"port\":{port},\"path\":null,\"from_port\":51234}}\n"
        )
    }

    #[test]
    fn places_are_counted_and_the_most_tried_comes_first() {
        let log = [
            line(9, "b.example", 443),
            line(7, "API.openai.com", 443),
            line(3, "api.openai.com", 443),
            line(4, "b.example", 80),
            line(5, "::2", 80),
        ]
        .concat();
        let found: Vec<String> = outside_of(&log)
            .iter()
            .map(|place| {
                format!(
                    "{} {} {} {}",
                    place.host, place.port, place.times, place.first_at
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                "api.openai.com 443 2 2026-01-02T03:04:03.500Z",
                "::2 80 1 2026-01-02T03:04:05.500Z",
                "b.example 80 1 2026-01-02T03:04:04.500Z",
                "b.example 443 1 2026-01-02T03:04:09.500Z",
            ]
        );
    }

    #[test]
    fn what_is_no_line_is_passed_over() {
        let whole = line(1, "a.example", 443);
        for other in ["", "\n", "{}\n", "started\n", "{\"at\":7}\n", "\u{0}\u{0}"] {
            let log = format!("{other}\n{whole}");
            assert_eq!(outside_of(&log).len(), 1, "{other:?}");
        }
        let wrong = whole.replace("443", "70000");
        assert_eq!(outside_of(&wrong), []);
        assert_eq!(outside_of(&whole.replace("2026", "soon")), []);
    }

    proptest::proptest! {
        /// Cut anywhere, a log loses at most its last line.
        #[test]
        fn a_cut_costs_the_last_line_alone(cut in 0_usize..240) {
            let log = [line(1, "a.example", 443), line(2, "a.example", 443)].concat();
            let cut = cut.min(log.len());
            // A line is whole as soon as its last brace is there.
            let whole = log[..cut].matches('}').count();
            let times: u64 = outside_of(&log[..cut]).iter().map(|place| place.times).sum();
            proptest::prop_assert_eq!(times, u64::try_from(whole).unwrap());
        }
    }
}
