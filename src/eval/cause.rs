//! What stands behind a result in error, by the name of its exception and, where that leaves it open, by its words.

use serde::{Deserialize, Serialize};

/// Who is to blame for a result in error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Servers or the network: the question itself may well be answered next time.
    Infra,
    /// The question, the model's answer or the client's own code, or nobody knows.
    Other,
}

/// Exceptions of the `openai`, `httpx`, `requests` and `urllib` packages, of Python itself and of the
/// quickstart's client that mean that a server could not be asked; the last part of a dotted name is compared.
const INFRA: &[&str] = &[
    "APIConnectionError",
    "APITimeoutError",
    "BrokenPipeError",
    "CallFailed",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionAbortedError",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "IncompleteRead",
    "InternalServerError",
    "NotConnected",
    "PoolTimeout",
    "RateLimitError",
    "ReadError",
    "ReadTimeout",
    "RemoteDisconnected",
    "RemoteProtocolError",
    "ServiceUnavailableError",
    "Timeout",
    "TimeoutError",
    "TimeoutException",
    "URLError",
    "WriteError",
    "WriteTimeout",
];

/// Exceptions of `urllib`, `requests`, `httpx`, `aiohttp` and `openai` for any status that is no success: their words have it.
const BY_STATUS: &[&str] = &[
    "APIError",
    "APIStatusError",
    "ClientResponseError",
    "HTTPError",
    "HTTPStatusError",
];

impl Cause {
    /// The cause that an `error_type` and the words beside it stand for.
    pub fn of(error_type: Option<&str>, words: Option<&str>) -> Self {
        let name = error_type.and_then(|name| name.rsplit('.').next());
        match name {
            Some(name) if INFRA.binary_search(&name).is_ok() => Self::Infra,
            Some(name) if BY_STATUS.binary_search(&name).is_ok() => {
                match words.and_then(status_in) {
                    // Below 500 these alone tell of a server with too much to do, as `RateLimitError` does.
                    Some(500.. | 408 | 429) => Self::Infra,
                    _ => Self::Other,
                }
            }
            _ => Self::Other,
        }
    }
}

/// The status of a failed request: the first number from 400 to 599 that stands alone.
fn status_in(words: &str) -> Option<u16> {
    let numbers = words.split(|c: char| !c.is_ascii_alphanumeric());
    let numbers = numbers.filter(|word| word.len() == 3);
    numbers
        .filter_map(|word| word.parse().ok())
        .find(|number| (400..600).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(INFRA.is_sorted() && BY_STATUS.is_sorted());
    }

    #[test]
    fn a_server_that_cannot_be_asked_is_not_a_wrong_answer() {
        let of = |name| Cause::of(name, Some("HTTP Error 500"));
        assert_eq!(of(Some("openai.APITimeoutError")), Cause::Infra);
        assert_eq!(of(Some("ConnectionRefusedError")), Cause::Infra);
        assert_eq!(of(Some("KeyError")), Cause::Other);
        assert_eq!(of(None), Cause::Other);
    }

    #[test]
    fn a_status_says_whose_fault_it_is() {
        let of = |name, words| Cause::of(Some(name), Some(words));
        for (name, words) in [
            ("HTTPError", "HTTP Error 500: Internal Server Error"),
            (
                "requests.exceptions.HTTPError",
                "503 Server Error: Service Unavailable for url: http://127.0.0.1:18110/v1",
            ),
            (
                "HTTPStatusError",
                "Server error '502 Bad Gateway' for url 'http://h:8000/x'",
            ),
            ("ClientResponseError", "504, message='Gateway Timeout'"),
            ("APIStatusError", "Error code: 529 - overloaded"),
            ("HTTPError", "HTTP Error 429: Too Many Requests"),
        ] {
            assert_eq!(of(name, words), Cause::Infra, "{words}");
        }
        for (name, words) in [
            ("HTTPError", "HTTP Error 400: Bad Request"),
            (
                "HTTPError",
                "404 Client Error: Not Found for url: http://h:500/v1",
            ),
            ("HTTPError", "it had 5000 tokens, and x500y"),
            ("ValueError", "HTTP Error 500"),
        ] {
            assert_eq!(of(name, words), Cause::Other, "{words}");
        }
        assert_eq!(Cause::of(Some("HTTPError"), None), Cause::Other);
    }
}
