//! Who may go where: a rehearsal stays on this machine, an evaluation goes to its list.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use crate::base::Place;

/// Decides where requests may go.
#[derive(Debug, Clone)]
pub enum Policy {
    /// To this machine alone; no name is ever looked up.
    Inside,
    /// To just these places.
    List(List),
}

/// Hosts, each with the ports that are open to clients.
#[derive(Debug, Clone, Default)]
pub struct List(BTreeMap<String, Vec<RangeInclusive<u16>>>);

impl List {
    /// Opens what `host:port` or `host:first-last` says.
    ///
    /// # Errors
    /// It says neither, in words.
    pub fn open(&mut self, text: &str) -> Result<(), String> {
        let wrong = || format!("`{text}` is neither `host:port` nor `host:first-last`");
        let (start, last) = match text.rsplit_once('-') {
            // A name may hold one, too.
            Some((start, last)) if !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()) => {
                (start, Some(last.parse().map_err(|_| wrong())?))
            }
            _ => (text, None),
        };
        let first = Place::read(start, 0).filter(|place| place.port > 0);
        let first = first.ok_or_else(wrong)?;
        let last = last.unwrap_or(first.port);
        if last < first.port {
            return Err(wrong());
        }
        let ports = self.0.entry(key(&first)).or_default();
        ports.push(first.port..=last);
        Ok(())
    }

    fn has(&self, place: &Place) -> bool {
        let ports = self.0.get(&key(place));
        ports.is_some_and(|ports| ports.iter().any(|range| range.contains(&place.port)))
    }
}

/// An address in one of its forms, or the name.
fn key(place: &Place) -> String {
    let address = place.address();
    address.map_or_else(|| place.host.clone(), |address| address.to_string())
}

impl Policy {
    /// Whether a request may go there.
    pub(super) fn lets(&self, place: &Place) -> bool {
        match self {
            Self::Inside => !loopback(place).is_empty(),
            Self::List(list) => list.has(place),
        }
    }

    /// The addresses of a place to which requests may go, in the order of trying.
    ///
    /// # Errors
    /// It has none, in words.
    pub(super) async fn addresses(&self, place: &Place) -> Result<Vec<IpAddr>, String> {
        if let Self::Inside = self {
            return Ok(loopback(place));
        }
        let found = tokio::net::lookup_host((place.host.as_str(), place.port)).await;
        let found = found.map_err(|error| error.to_string())?;
        Ok(found.map(|at| at.ip()).collect())
    }
}

/// The addresses of this machine that a place names; none where it is another one.
fn loopback(place: &Place) -> Vec<IpAddr> {
    if place.host == "localhost" {
        return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    place
        .address()
        .into_iter()
        .filter(IpAddr::is_loopback)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_loopback_is_this_machine() {
        let inside = |host: &str| {
            let place = Place::read(host, 80).unwrap();
            Policy::Inside.lets(&place)
        };
        for host in [
            "localhost",
            "LocalHost.",
            "127.0.0.1",
            "127.9.8.7",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(inside(host), "{host}");
        }
        for host in [
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "0.0.0.0",
            "10.0.0.1",
            "169.254.169.254",
            "[::]",
            "[fe80::1]",
            "[::2]",
            "128.0.0.1",
        ] {
            assert!(!inside(host), "{host}");
        }
    }

    #[test]
    fn a_list_is_just_what_it_says() {
        let mut list = List::default();
        for text in [
            "127.0.0.1:18100-18101",
            "API.openai.com:443",
            "[fd00::7]:80",
            "node-7:1800",
            "node-7:1900",
        ] {
            list.open(text).unwrap();
        }
        let policy = Policy::List(list);
        let lets = |text: &str| policy.lets(&Place::read(text, 0).unwrap());
        for text in [
            "127.0.0.1:18101",
            "[::ffff:127.0.0.1]:18100",
            "api.openai.com.:443",
            "[fd00:0::7]:80",
            "node-7:1900",
        ] {
            assert!(lets(text), "{text}");
        }
        for text in [
            "127.0.0.1:18102",
            "localhost:18100",
            "api.openai.com:80",
            "api.openai.com.evil.example:443",
            "node-7:1850",
        ] {
            assert!(!lets(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in [
            "",
            "host",
            "host:",
            "host:0",
            "host:9-8",
            "host:1-70000",
            "a b:1",
        ] {
            let why = List::default().open(text).unwrap_err();
            assert_eq!(
                why,
                format!("`{text}` is neither `host:port` nor `host:first-last`")
            );
        }
    }
}
