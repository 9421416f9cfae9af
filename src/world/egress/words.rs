//! What the proxy says, as whole HTTP answers. Pure.

use super::policy::Policy;
use crate::base::Place;

/// Why a request is not passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It may not go there.
    Outside(Place),
    /// It may go there, but in a way that cannot be passed on.
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
    pub(super) fn answer(&self, policy: &Policy) -> Vec<u8> {
        let here = match policy {
            Policy::Inside => " on this machine",
            Policy::List(_) => "",
        };
        let (status, text) = match (self, policy) {
            // Some clients show nothing but the first line.
            (Self::Outside(place), Policy::Inside) => (
                "403 Rehearsal: nothing leaves this machine",
                format!(
                    "this is a rehearsal by toolorch and nothing leaves the machine: `{place}` was not contacted, and is reported"
                ),
            ),
            (Self::Outside(place), Policy::List(_)) => (
                "403 Not declared",
                format!(
                    "this evaluation may call its servers and its `externals` alone: `{place}` was not contacted, and is reported"
                ),
            ),
            (Self::NotPlain(place), Policy::Inside) => (
                "501 Not Implemented",
                format!(
                    "`{place}` is on this machine: ask for a tunnel with CONNECT, or for http://"
                ),
            ),
            (Self::NotPlain(place), Policy::List(_)) => (
                "501 Not Implemented",
                format!("`{place}`: ask for a tunnel with CONNECT, or for http://"),
            ),
            (Self::Unreachable(place, why), _) => (
                "502 Bad Gateway",
                format!("`{place}`{here} cannot be reached: {why}"),
            ),
            (Self::NoAnswer(place), _) => (
                "502 Bad Gateway",
                format!("what listens on `{place}`{here} gave no HTTP answer"),
            ),
            (Self::Senseless, _) => (
                "400 Bad Request",
                "this is an HTTP proxy: send `CONNECT host:port` or `GET http://host/path`"
                    .to_owned(),
            ),
            (Self::TooLarge, _) => (
                "431 Request Header Fields Too Large",
                "the head of the request is too large".to_owned(),
            ),
            (Self::TooSlow, _) => (
                "408 Request Timeout",
                "the head of the request did not end in time".to_owned(),
            ),
        };
        plain(status, &text)
    }
}

/// The answer to who asks for the proxy itself.
pub(super) fn own(policy: &Policy) -> Vec<u8> {
    let text = match policy {
        Policy::Inside => "the proxy of a rehearsal by toolorch: nothing leaves this machine",
        Policy::List(_) => {
            "the proxy of an evaluation by toolorch: what is not declared is refused"
        }
    };
    plain("200 OK", text)
}

/// The answer that opens a tunnel.
pub(super) const TUNNEL: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

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
            Refusal::Outside(place("api.openai.com")).answer(&Policy::Inside),
            Refusal::NotPlain(place("::1")).answer(&Policy::Inside),
            Refusal::Unreachable(place("localhost"), "connection refused".to_owned())
                .answer(&Policy::Inside),
            Refusal::NoAnswer(place("127.0.0.1")).answer(&Policy::Inside),
            Refusal::Senseless.answer(&Policy::Inside),
            Refusal::TooLarge.answer(&Policy::Inside),
            Refusal::TooSlow.answer(&Policy::Inside),
            own(&Policy::Inside),
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
    #[test]
    fn an_evaluation_is_told_other_words() {
        let policy = Policy::List(super::super::policy::List::default());
        let place = || Place::new("api.openai.com", 443);
        let all = [
            Refusal::Outside(place()).answer(&policy),
            Refusal::NotPlain(place()).answer(&policy),
            Refusal::Unreachable(place(), "connection refused".to_owned()).answer(&policy),
            Refusal::NoAnswer(place()).answer(&policy),
            own(&policy),
        ];
        let all = String::from_utf8(all.concat()).unwrap().replace('\r', "");
        insta::assert_snapshot!(all, @r"
        HTTP/1.1 403 Not declared
        content-type: text/plain; charset=utf-8
        content-length: 120
        connection: close

        this evaluation may call its servers and its `externals` alone: `api.openai.com:443` was not contacted, and is reported
        HTTP/1.1 501 Not Implemented
        content-type: text/plain; charset=utf-8
        content-length: 68
        connection: close

        `api.openai.com:443`: ask for a tunnel with CONNECT, or for http://
        HTTP/1.1 502 Bad Gateway
        content-type: text/plain; charset=utf-8
        content-length: 59
        connection: close

        `api.openai.com:443` cannot be reached: connection refused
        HTTP/1.1 502 Bad Gateway
        content-type: text/plain; charset=utf-8
        content-length: 57
        connection: close

        what listens on `api.openai.com:443` gave no HTTP answer
        HTTP/1.1 200 OK
        content-type: text/plain; charset=utf-8
        content-length: 72
        connection: close

        the proxy of an evaluation by toolorch: what is not declared is refused
        ");
    }
}
