//! Addresses of what is not started here.

use crate::base::FieldPath;
use crate::diag::{Code, Diagnostic, Place, Report};

use super::Ctx;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    for (name, external) in &ctx.spec.externals {
        let path = FieldPath::root().key("externals").key(name.as_str());
        report.extend(wrong(&external.url).map(|why| {
            Diagnostic::error(
                Code("E0541"),
                format!("`{name}` has an address at which nothing can be asked"),
            )
            .at(Place::Value(path.key("url")), why)
            .help("write the base URL that clients are given, such as `https://api.openai.com/v1`")
        }));
    }
}

/// Why this is no base URL of an API.
fn wrong(url: &str) -> Option<&'static str> {
    if url.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Some("it has a blank in it");
    }
    let Some(rest) = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
    else {
        return Some("it begins with neither `https://` nor `http://`");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = authority.rsplit('@').next().unwrap_or_default();
    // An IPv6 address has colons of its own.
    let (host, port) = match place.rsplit_once(']') {
        Some((host, rest)) if host.starts_with('[') => (host, rest.strip_prefix(':')),
        Some(_) => return Some("its host cannot be read"),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.trim_start_matches('[').is_empty() || (host.contains('[') && !place.contains(']')) {
        return Some("it names no host");
    }
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    if port.is_some_and(|port| !is_port(port)) {
        return Some("its port is not a number from 1 to 65535");
    }
    let end = rest.trim_end_matches('/');
    if end.ends_with("/chat/completions") || end.ends_with("/completions") {
        return Some("clients add `/chat/completions` themselves");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::wrong;

    #[test]
    fn base_urls_are_told_from_what_only_looks_like_one() {
        for right in [
            "https://api.openai.com/v1",
            "http://n1:8000/v1",
            "http://[fd00::1]:8000/v1",
            "http://[::1]",
            "https://a.example/x/v1/",
        ] {
            assert_eq!(wrong(right), None, "{right}");
        }
        for bad in [
            "",
            "ftp://x",
            "api.openai.com",
            "http://",
            "https:/x/v1",
            "https://x y/v1",
            "http://x:99999/v1",
            "http://x:0",
            "http://x:",
            "http://[1",
            "https://x/v1/chat/completions",
        ] {
            assert!(wrong(bad).is_some(), "{bad}");
        }
    }
}
