//! Places that calls go to: a host and a port.

use core::net::{IpAddr, Ipv6Addr};
use std::fmt;

use serde::{Deserialize, Serialize};

/// Characters of a DNS name.
const LONGEST_HOST: usize = 253;

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// A name in lower case, or an address; without brackets and a last dot.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Place {
    /// A place of this host; brackets, capitals and a last dot mean nothing.
    pub fn new(host: &str, port: u16) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let host = host.strip_suffix('.').unwrap_or(host).to_lowercase();
        Self { host, port }
    }

    /// Reads `host`, `host:port` or `[address]:port`; `usual` is the port where none is said.
    pub fn read(text: &str, usual: u16) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                address.parse::<Ipv6Addr>().ok()?;
                let port = if port.is_empty() {
                    None
                } else {
                    Some(port.strip_prefix(':')?)
                };
                (address, port)
            }
            None => match text.rsplit_once(':') {
                // An address without its brackets has no place for a port.
                Some((start, _)) if start.contains(':') => {
                    text.parse::<Ipv6Addr>().ok()?;
                    (text, None)
                }
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            None | Some("") => usual,
            // `parse` alone would take `+80`.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok()?
            }
            Some(_) => return None,
        };
        let place = Self::new(host, port);
        let fits = |c: char| c.is_alphanumeric() || ".-_:%".contains(c);
        let fine = !place.host.is_empty()
            && place.host.len() <= LONGEST_HOST
            && place.host.chars().all(fits);
        fine.then_some(place)
    }

    /// The place that a URL leads to; none where it is none. Without a scheme it is one of https.
    pub fn of_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let usual = match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => 80,
            "https" | "wss" => 443,
            _ => return None,
        };
        Self::of_authority(rest, usual)
    }

    /// `host:port` as a client names a server, by a URL or without a scheme; `host` alone where it says no port. Whatever else
    /// stands there (who asks, with which key) is left out; none where nothing of it is a place.
    pub fn named(text: &str) -> Option<String> {
        if text.contains("://") {
            return Self::of_url(text).map(|place| place.to_string());
        }
        // As if of a scheme whose usual port is none.
        let place = Self::of_authority(text, 0)?;
        Some(match place.port {
            0 => place.host,
            _ => place.to_string(),
        })
    }

    /// The place of what follows a scheme.
    fn of_authority(rest: &str, usual: u16) -> Option<Self> {
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let authority = &rest[..end];
        // Who is in front of the `@` is nobody's business here.
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        Self::read(host, usual)
    }

    /// The host as an address, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        let address: IpAddr = self.host.parse().ok()?;
        Some(address.to_canonical())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", bracketed(&self.host), self.port)
    }
}

/// A host as URLs have it: IPv6 addresses stand in brackets.
pub(crate) fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_to_places() {
        for (url, place) in [
            ("https://API.openai.com/v1", Some("api.openai.com:443")),
            ("http://10.0.0.7:1800/v1", Some("10.0.0.7:1800")),
            ("https://user:pass@h.example:8443", Some("h.example:8443")),
            ("http://[::1]:8000/v1", Some("[::1]:8000")),
            ("http://evil.example#@127.0.0.1/", Some("evil.example:80")),
            ("https://h.example.?q", Some("h.example:443")),
            ("ftp://h.example", None),
            ("h.example/v1", Some("h.example:443")),
            ("http://", None),
        ] {
            let read = Place::of_url(url).map(|place| place.to_string());
            assert_eq!(read.as_deref(), place, "{url}");
        }
    }

    #[test]
    fn a_server_is_named_by_its_place_alone() {
        for (text, name) in [
            ("http://user:pa55w0rd@h:1/v1?key=sk-secret", Some("h:1")),
            ("https://api.openai.com/v1", Some("api.openai.com:443")),
            ("user:pa55w0rd@10.0.0.7:1800/v1", Some("10.0.0.7:1800")),
            ("127.0.0.1:18110", Some("127.0.0.1:18110")),
            ("[::1]:8000", Some("[::1]:8000")),
            ("retrieval", Some("retrieval")),
            ("h?key=sk-secret", Some("h")),
            ("key=sk-secret", None),
            ("unix:///run/secret", None),
            ("user:secret", None),
            ("", None),
        ] {
            assert_eq!(Place::named(text).as_deref(), name, "{text}");
        }
    }
}
