//! Who may look: programs of the same user on this machine, that mean this machine.

use std::net::SocketAddr;

use axum::http::uri::Authority;

use crate::world::user_at;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// It names another host: a page of another site, whose name was made to lead here.
    #[error("this is `127.0.0.1`, not the host that was asked for")]
    Host,
    /// Its process is of another user.
    #[error("only the user who started this, and root, may look")]
    User,
    /// Whose process it is cannot be told.
    #[error("whose connection this is cannot be told: {0}")]
    Unknown(String),
}

/// Whether a request means this machine. Another port is fine: `ssh -L` may have led here.
pub(super) fn host(header: Option<&str>) -> Result<(), Refusal> {
    let authority: Option<Authority> = header.and_then(|text| text.parse().ok());
    let ours = authority.is_some_and(|authority| {
        let bare = !authority.as_str().contains('@');
        bare && ["127.0.0.1", "localhost"].contains(&authority.host())
    });
    if ours { Ok(()) } else { Err(Refusal::Host) }
}

/// Whether a connection is from a process of this user, or of root: what it shows is in files that nobody else can read.
pub(super) fn user(peer: SocketAddr, own: SocketAddr, user: u32) -> Result<(), Refusal> {
    match user_at(peer, own) {
        Ok(Some(theirs)) if theirs == user || theirs == 0 => Ok(()),
        Ok(Some(_)) => Err(Refusal::User),
        Ok(None) => Err(Refusal::Unknown("nobody holds its other end".to_owned())),
        Err(error) => Err(Refusal::Unknown(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn only_names_of_this_machine_are_meant() {
        for ours in ["127.0.0.1", "127.0.0.1:8123", "localhost:9", "localhost"] {
            assert_eq!(host(Some(ours)), Ok(()), "{ours}");
        }
        for foreign in [
            "evil.example",
            "evil.example:8123",
            "127.0.0.1.evil.example",
            "localhost.evil.example:80",
            "127.0.0.1@evil.example",
            "evil@127.0.0.1",
            "0.0.0.0:8123",
            "",
            "127.0.0.1/evil",
            "[::1]:8123",
        ] {
            assert_eq!(host(Some(foreign)), Err(Refusal::Host), "{foreign}");
        }
        assert_eq!(host(None), Err(Refusal::Host));
    }

    #[test]
    fn the_other_end_is_known_by_its_user() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap();
        let client = TcpStream::connect(own).unwrap();
        let peer = client.local_addr().unwrap();
        let me = rustix::process::getuid().as_raw();
        assert_eq!(user(peer, own, me), Ok(()));
        // Root may look at everything; who is not root may not look at what is another's.
        if me != 0 {
            assert_eq!(user(peer, own, me + 1), Err(Refusal::User));
        }
        drop(client);
        assert!(matches!(user(peer, own, me), Err(Refusal::Unknown(_))));
    }
}
