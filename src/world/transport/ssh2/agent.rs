//! The agent that holds a person's keys.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use ssh2::{Agent, Error, PublicKey, Session};

/// An agent answers within a millisecond; forwarded ones, whose connection is gone, never do.
const PATIENCE: Duration = Duration::from_secs(2);

/// The request for its list of keys, with its length before it.
const LIST: [u8; 5] = [0, 0, 0, 1, 11];

/// An agent that answers, and its keys.
pub(super) struct Keyring {
    agent: Agent,
    pub(super) keys: Vec<PublicKey>,
}

impl Keyring {
    /// Connects to an agent. The library would wait for one that hangs as long as that hangs, so it is first asked
    /// with a time limit.
    pub(super) fn open(session: &Session, socket: &Path) -> Result<Self, String> {
        is_awake(socket).map_err(|error| error.to_string())?;
        let open = || -> Result<Self, Error> {
            let mut agent = session.agent()?;
            agent.set_identity_path(socket)?;
            agent.connect()?;
            agent.list_identities()?;
            let keys = agent.identities()?;
            Ok(Self { agent, keys })
        };
        open().map_err(|error| error.message().to_owned())
    }

    /// Logs in with one of its keys.
    pub(super) fn log_in(&self, user: &str, key: &PublicKey) -> Result<(), Error> {
        self.agent.userauth(user, key)
    }
}

fn is_awake(socket: &Path) -> std::io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&LIST)?;
    stream.read_exact(&mut [0; 5])
}
