//! Private keys in files, as far as one can tell without opening them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The start of a key of OpenSSH's form without a passphrase, in base64: its magic and `none` for the cipher.
const OPEN: &str = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU";

/// A file with a private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    /// Its public half in base64 without `=` at its end, where that lies beside it.
    pub(super) public: Option<String>,
    pub(super) state: KeyState,
}

/// What can be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyState {
    /// It can be used.
    Open,
    /// It has a passphrase.
    Locked,
    /// The file holds only a public key: it tells which key of the agent is meant.
    PublicOnly,
    /// The key is in a device that has to be touched.
    Device,
    /// It cannot be read.
    Unreadable(String),
}

impl KeyFile {
    /// Looks at a file; none if there is none.
    pub(super) fn find(path: &Path) -> Option<Self> {
        let public = public_half(&beside(path)).or_else(|| public_half(path));
        let state = match fs::read_to_string(path) {
            Ok(text) => state_of(&text, public.as_deref()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // The public half alone says which key of the agent to take.
                public.as_ref()?;
                KeyState::PublicOnly
            }
            Err(error) => KeyState::Unreadable(error.to_string()),
        };
        Some(Self {
            path: path.to_owned(),
            public,
            state,
        })
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

/// `TYPE BASE64 COMMENT`.
fn public_half(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let mut words = text.split_whitespace();
    let is_type = |word: &str| {
        ["ssh-", "ecdsa-", "sk-"]
            .iter()
            .any(|start| word.starts_with(start))
    };
    words.next().filter(|word| is_type(word))?;
    Some(words.next()?.trim_end_matches('=').to_owned())
}

fn state_of(text: &str, public: Option<&str>) -> KeyState {
    // The type stands at the start of the public half: a length of 26 and `sk-…`.
    if public.is_some_and(|key| key.starts_with("AAAAGnNr") || key.starts_with("AAAAInNr")) {
        return KeyState::Device;
    }
    let body: String = text
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    if text.contains("-----BEGIN OPENSSH PRIVATE KEY-----") {
        return if body.starts_with(OPEN) {
            KeyState::Open
        } else {
            KeyState::Locked
        };
    }
    if text.contains("ENCRYPTED") {
        return KeyState::Locked;
    }
    if text.contains("PRIVATE KEY-----") {
        return KeyState::Open;
    }
    KeyState::PublicOnly
}
