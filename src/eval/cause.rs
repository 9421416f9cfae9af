//! What stands behind a result in error, by the name of its exception.

/// Who is to blame for a result in error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

impl Cause {
    /// The cause that an `error_type` stands for.
    pub fn of(error_type: Option<&str>) -> Self {
        let name = error_type.and_then(|name| name.rsplit('.').next());
        match name {
            Some(name) if INFRA.binary_search(&name).is_ok() => Self::Infra,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(INFRA.is_sorted());
    }

    #[test]
    fn a_server_that_cannot_be_asked_is_not_a_wrong_answer() {
        assert_eq!(Cause::of(Some("openai.APITimeoutError")), Cause::Infra);
        assert_eq!(Cause::of(Some("ConnectionRefusedError")), Cause::Infra);
        assert_eq!(Cause::of(Some("KeyError")), Cause::Other);
        assert_eq!(Cause::of(None), Cause::Other);
    }
}
