//! What the proxy of a rehearsal says, as whole HTTP answers. Pure.

use super::target::Place;

/// Why a request is not passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It would leave the machine.
    Outside(Place),
    /// It stays here, but in a way that cannot be passed on.
    NotPlain(Place),
    /// Nobody answers where it goes.
    Unreachable(Place, String),
    /// Who answers there does not speak HTTP.
    NoAnswer(Place),
    /// It is no request to a proxy.
    Senseless,
    /// Its head is too large.
    TooLarge,
    /// Its head does not end.
    TooSlow,
}

impl Refusal {
    /// The answer to the client.
    pub(super) fn answer(&self) -> Vec<u8> {
        let (status, text) = match self {
            // Some clients show nothing but the first line.
            Self::Outside(place) => (
                "403 Rehearsal: nothing leaves this machine",
                format!(
                    "this is a rehearsal by toolorch and nothing leaves the machine: `{}` was not contacted, and is reported",
                    show(place)
                ),
            ),
            Self::NotPlain(place) => (
                "501 Not Implemented",
                format!(
                    "`{}` is on this machine: ask for a tunnel with CONNECT, or for http://",
                    show(place)
                ),
            ),
            Self::Unreachable(place, why) => (
                "502 Bad Gateway",
                format!("`{}` on this machine cannot be reached: {why}", show(place)),
            ),
            Self::NoAnswer(place) => (
                "502 Bad Gateway",
                format!(
                    "what listens on `{}` on this machine gave no HTTP answer",
                    show(place)
                ),
            ),
            Self::Senseless => (
                "400 Bad Request",
                "this is an HTTP proxy: send `CONNECT host:port` or `GET http://host/path`"
                    .to_owned(),
            ),
            Self::TooLarge => (
                "431 Request Header Fields Too Large",
                "the head of the request is too large".to_owned(),
            ),
            Self::TooSlow => (
                "408 Request Timeout",
                "the head of the request did not end in time".to_owned(),
            ),
        };
        plain(status, &text)
    }
}

/// The answer to who asks for the proxy itself.
pub(super) fn own() -> Vec<u8> {
    plain(
        "200 OK",
        "the proxy of a rehearsal by toolorch: nothing leaves this machine",
    )
}

/// The answer that opens a tunnel.
pub(super) const TUNNEL: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

fn show(place: &Place) -> String {
    if place.host.contains(':') {
        format!("[{}]:{}", place.host, place.port)
    } else {
        format!("{}:{}", place.host, place.port)
    }
}

fn plain(status: &str, text: &str) -> Vec<u8> {
    let length = text.len() + 1;
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{text}\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_says_what_is_wrong() {
        let place = |host: &str| Place {
            host: host.to_owned(),
            port: 443,
        };
        let all = [
            Refusal::Outside(place("api.openai.com")).answer(),
            Refusal::NotPlain(place("::1")).answer(),
            Refusal::Unreachable(place("localhost"), "connection refused".to_owned()).answer(),
            Refusal::NoAnswer(place("127.0.0.1")).answer(),
            Refusal::Senseless.answer(),
            Refusal::TooLarge.answer(),
            Refusal::TooSlow.answer(),
            own(),
        ];
        let all = String::from_utf8(all.concat()).unwrap().replace('\r', "");
        insta::assert_snapshot!(all, @"
        HTTP/1.1 403 Rehearsal: nothing leaves this machine
        content-type: text/plain; charset=utf-8
        content-length: 120
        connection: close

        this is a rehearsal by toolorch and nothing leaves the machine: `api.openai.com:443` was not contacted, and is reported
        HTTP/1.1 501 Not Implemented
        content-type: text/plain; charset=utf-8
        content-length: 78
        connection: close

        `[::1]:443` is on this machine: ask for a tunnel with CONNECT, or for http://
        HTTP/1.1 502 Bad Gateway
        content-type: text/plain; charset=utf-8
        content-length: 70
        connection: close

        `localhost:443` on this machine cannot be reached: connection refused
        HTTP/1.1 502 Bad Gateway
        content-type: text/plain; charset=utf-8
        content-length: 68
        connection: close

        what listens on `127.0.0.1:443` on this machine gave no HTTP answer
        HTTP/1.1 400 Bad Request
        content-type: text/plain; charset=utf-8
        content-length: 74
        connection: close

        this is an HTTP proxy: send `CONNECT host:port` or `GET http://host/path`
        HTTP/1.1 431 Request Header Fields Too Large
        content-type: text/plain; charset=utf-8
        content-length: 37
        connection: close

        the head of the request is too large
        HTTP/1.1 408 Request Timeout
        content-type: text/plain; charset=utf-8
        content-length: 44
        connection: close

        the head of the request did not end in time
        HTTP/1.1 200 OK
        content-type: text/plain; charset=utf-8
        content-length: 66
        connection: close

        the proxy of a rehearsal by toolorch: nothing leaves this machine
        ");
    }
}
