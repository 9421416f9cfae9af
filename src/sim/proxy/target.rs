//! Where a request goes, from its request line, and whether that is this machine. Pure: no name is ever looked up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a request wants of the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    /// A tunnel: `CONNECT host:port`.
    Tunnel(Place),
    /// One request to be passed on: `GET http://host/path`.
    Pass {
        /// To whom.
        place: Place,
        /// How it is called there: path and query.
        origin_form: String,
        /// The path alone.
        path: String,
        /// Whether it is plain HTTP, the only kind that can be passed on.
        plain: bool,
    },
    /// The proxy itself: `GET /path`.
    Own(String),
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// A name in lower case, or an address; without brackets and a last dot.
    pub(super) host: String,
    /// The port.
    pub(super) port: u16,
}

/// Characters of a DNS name.
const LONGEST_HOST: usize = 253;

impl Wish {
    /// Reads method and target of a request line; `None` where they mean nothing.
    pub(super) fn read(method: &str, target: &str) -> Option<Self> {
        if method == "CONNECT" {
            return Place::read(target, 443).map(Self::Tunnel);
        }
        if target.starts_with('/') {
            return Some(Self::Own(without_query(target).to_owned()));
        }
        let (scheme, rest) = target.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let port = match scheme.as_str() {
            "http" | "ws" => 80,
            "https" | "wss" => 443,
            "ftp" => 21,
            _ => return None,
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        // Who is in front of the `@` is nobody's business here.
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let origin_form = match rest.split('#').next().unwrap_or_default() {
            "" => "/".to_owned(),
            query if query.starts_with('?') => format!("/{query}"),
            path => path.to_owned(),
        };
        Some(Self::Pass {
            place: Place::read(host, port)?,
            path: without_query(&origin_form).to_owned(),
            origin_form,
            plain: scheme == "http",
        })
    }
}

fn without_query(target: &str) -> &str {
    target.split(['?', '#']).next().unwrap_or_default()
}

impl Place {
    /// Reads `host`, `host:port` or `[address]:port`.
    fn read(text: &str, usual: u16) -> Option<Self> {
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
        let host = host.strip_suffix('.').unwrap_or(host).to_lowercase();
        let fits = |c: char| c.is_alphanumeric() || ".-_:%".contains(c);
        let fine = !host.is_empty() && host.len() <= LONGEST_HOST && host.chars().all(fits);
        fine.then_some(Self { host, port })
    }

    /// The addresses of this machine's own loopback that are meant; none where the place is outside.
    ///
    /// Nothing else counts: not `127.1`, which only some programs read as an address, and not a name that might be
    /// looked up to one.
    pub(super) fn loopback(&self) -> Vec<IpAddr> {
        if self.host == "localhost" {
            return vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        }
        let address = self.host.parse::<IpAddr>().ok();
        let address = address.map(|address| address.to_canonical());
        address.into_iter().filter(IpAddr::is_loopback).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, target: &str) -> String {
        match Wish::read(method, target) {
            Some(Wish::Tunnel(place)) => format!("tunnel to {} {}", place.host, place.port),
            Some(Wish::Pass {
                place,
                origin_form,
                path,
                plain,
            }) => {
                format!("{} {} {origin_form} {path} {plain}", place.host, place.port)
            }
            Some(Wish::Own(path)) => format!("own {path}"),
            None => "nothing".to_owned(),
        }
    }

    #[test]
    fn request_lines_are_understood() {
        for (method, target, meaning) in [
            (
                "CONNECT",
                "API.openai.com:443",
                "tunnel to api.openai.com 443",
            ),
            ("CONNECT", "api.openai.com.", "tunnel to api.openai.com 443"),
            ("CONNECT", "[::1]:8000", "tunnel to ::1 8000"),
            ("CONNECT", "::1", "tunnel to ::1 443"),
            ("CONNECT", "a:b:c", "nothing"),
            ("CONNECT", "[x]:1", "nothing"),
            ("CONNECT", "[::1]8", "nothing"),
            ("CONNECT", "a.example:+80", "nothing"),
            ("CONNECT", "a.example:70000", "nothing"),
            ("CONNECT", ":80", "nothing"),
            ("CONNECT", "a b:80", "nothing"),
            ("CONNECT", "\u{7f}:80", "nothing"),
            ("GET", "http://a.example", "a.example 80 / / true"),
            (
                "GET",
                "HTTP://A.example:81/x/y?key=1#z",
                "a.example 81 /x/y?key=1 /x/y true",
            ),
            ("GET", "http://a.example?q", "a.example 80 /?q / true"),
            ("GET", "http://u:p@a.example/", "a.example 80 / / true"),
            (
                "GET",
                "http://evil.example#@127.0.0.1/",
                "evil.example 80 / / true",
            ),
            (
                "GET",
                "http://127.0.0.1@evil.example/",
                "evil.example 80 / / true",
            ),
            (
                "POST",
                "https://a.example/v1",
                "a.example 443 /v1 /v1 false",
            ),
            ("GET", "/health?x", "own /health"),
            ("GET", "*", "nothing"),
            ("GET", "a.example:80", "nothing"),
            ("GET", "gopher://a.example/", "nothing"),
        ] {
            assert_eq!(read(method, target), meaning, "{method} {target}");
        }
    }

    #[test]
    fn only_the_loopback_is_this_machine() {
        let inside = |host: &str| {
            let place = Place::read(host, 80).unwrap();
            !place.loopback().is_empty()
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

    proptest::proptest! {
        #[test]
        fn anything_can_be_read(method in "(CONNECT|GET|.{0,5})", target in ".{0,60}") {
            let _ = Wish::read(&method, &target);
        }

        /// What follows in the target never moves a request to this machine.
        #[test]
        fn an_outsider_stays_outside(rest in "[/?#\\\\].{0,40}") {
            if let Some(Wish::Pass { place, .. }) = Wish::read("GET", &format!("http://evil.example{rest}")) {
                proptest::prop_assert_eq!(place.host, "evil.example");
            }
        }
    }
}
