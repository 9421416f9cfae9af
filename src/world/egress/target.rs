//! Where a request goes, from its request line. Pure.

use crate::base::Place;

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
