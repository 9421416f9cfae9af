//! The head of a request or an answer: its first line and its headers. Pure, and strict, since anybody may send one.

/// The most bytes of a head.
pub(super) const LARGEST: usize = 64 << 10;

/// A head that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// The first line.
    pub(super) first: String,
    headers: Vec<(String, Vec<u8>)>,
}

/// How long the body of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes.
    Known(u64),
    /// It comes in chunks.
    Chunked,
}

/// Headers that speak of one connection, not of what is sent over it.
const OF_CONNECTION: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "proxy-authenticate",
    "te",
    "trailer",
    "upgrade",
];

/// Where a head ends in what was read so far; `from` is how much of it was looked at before.
pub(super) fn end_of(bytes: &[u8], from: usize) -> Option<usize> {
    let start = from.saturating_sub(3);
    let rest = bytes.get(start..)?;
    let ends = [&b"\r\n\r\n"[..], &b"\n\n"[..]];
    let found = ends.iter().filter_map(|end| {
        let at = rest.windows(end.len()).position(|window| window == *end)?;
        Some(start + at + end.len())
    });
    found.min()
}

impl Head {
    /// Reads a head; `None` where it is not one of HTTP/1.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut lines = bytes
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first = std::str::from_utf8(lines.next()?).ok()?.to_owned();
        if first.chars().any(char::is_control) {
            return None;
        }
        let headers: Option<Vec<_>> = lines.filter(|line| !line.is_empty()).map(header).collect();
        Some(Self {
            first,
            headers: headers?,
        })
    }

    /// Method and target of a request.
    pub(super) fn request(&self) -> Option<(&str, &str)> {
        let mut words = self.first.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let fine = is_token(method.as_bytes())
            && method.len() <= 32
            && version.starts_with("HTTP/1.")
            && words.next().is_none();
        fine.then_some((method, target))
    }

    /// Status of an answer.
    pub(super) fn status(&self) -> Option<u16> {
        let (version, rest) = self.first.split_once(' ')?;
        let status = rest.get(..3)?.parse().ok()?;
        version.starts_with("HTTP/1.").then_some(status)
    }

    /// How long the body of this request is; `None` where it says two things, or nothing that is a length.
    pub(super) fn length(&self) -> Option<Length> {
        let mut lengths = self.values("content-length");
        let mut codings = self.values("transfer-encoding");
        match (lengths.next(), codings.next()) {
            (None, None) => Some(Length::Known(0)),
            (Some(length), None) => {
                let digits = length.trim_ascii();
                let digits = std::str::from_utf8(digits).ok()?;
                let fine =
                    digits.bytes().all(|byte| byte.is_ascii_digit()) && lengths.next().is_none();
                fine.then(|| digits.parse().ok().map(Length::Known))?
            }
            (None, Some(coding)) => {
                let chunked = coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
                (chunked && codings.next().is_none()).then_some(Length::Chunked)
            }
            (Some(_), Some(_)) => None,
        }
    }

    fn values<'a>(&'a self, wanted: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(name, _)| name == wanted)
            .map(|(_, value)| value.as_slice())
    }

    /// This head as it is passed on, under another first line: the connection ends after it.
    pub(super) fn passed_on(&self, first: &str) -> Vec<u8> {
        let mut out = format!("{first}\r\n").into_bytes();
        for (name, value) in &self.headers {
            if !OF_CONNECTION.contains(&name.as_str()) {
                out.extend_from_slice(name.as_bytes());
                out.push(b':');
                out.extend_from_slice(value);
                out.extend_from_slice(b"\r\n");
            }
        }
        out.extend_from_slice(b"connection: close\r\n\r\n");
        out
    }
}

/// A name in lower case and what follows the colon.
fn header(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let fine = is_token(name) && !value.iter().any(|byte| [b'\r', 0].contains(byte));
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    fine.then(|| (name, value.to_owned()))
}

fn is_token(bytes: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Option<Head> {
        Head::read(text.as_bytes())
    }

    #[test]
    fn a_request_is_passed_on_without_what_concerns_the_proxy() {
        let text = "GET http://localhost/x HTTP/1.1\r\nHost: localhost\r\nProxy-Authorization: Basic eA==\r\n\
                    Connection: keep-alive\r\nX-Key:  \u{e4}\r\n\r\n";
        let head = head(text).unwrap();
        assert_eq!(head.request(), Some(("GET", "http://localhost/x")));
        assert_eq!(head.length(), Some(Length::Known(0)));
        let passed = String::from_utf8(head.passed_on("GET /x HTTP/1.1")).unwrap();
        assert_eq!(
            passed,
            "GET /x HTTP/1.1\r\nhost: localhost\r\nx-key:  \u{e4}\r\nconnection: close\r\n\r\n"
        );
    }

    #[test]
    fn what_is_no_head_is_not_read() {
        for text in [
            "GET / HTTP/1.1\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nA b: c\r\n\r\n",
            "GET / HTTP/1.1\r\n: c\r\n\r\n",
            "GET /\u{0} HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(head(text), None, "{text:?}");
        }
        for text in [
            "GET  / HTTP/1.1",
            "GET /",
            "PRI * HTTP/2.0",
            "G\u{e4}T / HTTP/1.1",
            "",
            "a b c d",
        ] {
            assert_eq!(head(text).unwrap().request(), None, "{text:?}");
        }
    }

    #[test]
    fn lengths_that_contradict_are_none() {
        let length = |headers: &str| {
            head(&format!("POST / HTTP/1.1\n{headers}\n\n"))
                .unwrap()
                .length()
        };
        assert_eq!(length("Content-Length: 7 "), Some(Length::Known(7)));
        assert_eq!(length("Transfer-Encoding: Chunked"), Some(Length::Chunked));
        for wrong in [
            "Content-Length: 7\nContent-Length: 7",
            "Content-Length: +7",
            "Content-Length: ",
            "Content-Length: 99999999999999999999",
            "Content-Length: 7\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
        ] {
            assert_eq!(length(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_status_is_read() {
        let status = |text: &str| head(text).unwrap().status();
        assert_eq!(status("HTTP/1.0 204\r\n"), Some(204));
        assert_eq!(status("HTTP/1.1 200 OK"), Some(200));
        for wrong in ["ICY 200 OK", "HTTP/1.1", "HTTP/1.1 OK!", "HTTP/1.1 20"] {
            assert_eq!(status(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in proptest::collection::vec(0_u8.., 0..300)) {
            if let Some(head) = Head::read(&bytes) {
                let _ = (head.request(), head.status(), head.length(), head.passed_on("x"));
            }
        }

        /// An end is found where it is, however the bytes arrive.
        #[test]
        fn the_end_is_found_in_pieces(start in "[a\r\n]{0,12}", cut in 0_usize..20) {
            let bytes = format!("{start}x\r\n\r\nbody\n\n").into_bytes();
            let whole = end_of(&bytes, 0);
            proptest::prop_assert!(whole.is_some());
            let cut = cut.min(bytes.len());
            let first = end_of(&bytes[..cut], 0);
            let both = first.or_else(|| end_of(&bytes, cut));
            proptest::prop_assert_eq!(both, whole);
        }
    }
}
