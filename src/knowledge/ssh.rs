//! What OpenSSH's `ssh` says before it ends with 255: it tells in words alone. Read in OpenSSH 8.0 to 9.9.

/// Something that ends a connection, or keeps it from being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// Its name.
    pub id: &'static str,
    /// A part of the line.
    pub needle: &'static str,
    /// What went wrong.
    pub cause: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// Another try ends the same way until a person has done something.
    pub permanent: bool,
}

const fn row(
    id: &'static str,
    needle: &'static str,
    cause: &'static str,
    fix: &'static str,
) -> Words {
    Words {
        id,
        needle,
        cause,
        fix,
        permanent: false,
    }
}

const fn last(row: Words) -> Words {
    Words {
        permanent: true,
        ..row
    }
}

/// The first that is found counts: a changed key is said before that the verification failed.
const WORDS: &[Words] = &[
    last(row(
        "ssh-key-changed",
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the host has another key than the one that is known",
        "somebody else may answer in its place; if it was installed anew, remove the old key with `ssh-keygen -R` and run \
         ssh once by hand",
    )),
    last(row(
        "ssh-key-refused",
        "Host key verification failed",
        "the host's key is not known, or not the pinned one",
        "run ssh to it once by hand and compare the fingerprint, or correct `host_key_sha256`: it must be that of the key \
         which ssh asks for first, ed25519 in most places",
    )),
    last(row(
        "ssh-too-old",
        "Bad configuration option: knownhostscommand",
        "this `ssh` cannot be given a pinned key: that came with OpenSSH 8.5",
        "leave `host_key_sha256` out, and run ssh to the host once by hand",
    )),
    last(row(
        "ssh-config",
        "Bad configuration option",
        "ssh cannot read its configuration",
        "correct ~/.ssh/config",
    )),
    // Said before that permission is denied. The built-in client takes such a key.
    row(
        "ssh-key-file-open",
        "UNPROTECTED PRIVATE KEY FILE",
        "ssh takes no key file that others can read",
        "chmod 600 the key file; its log names it",
    ),
    row(
        "ssh-permission",
        "Permission denied (",
        "the host lets nobody in without a question",
        "`ssh -o BatchMode=yes` must work: add your key to the agent, or name it (`identity`); a tunnel cannot answer a \
         second factor",
    ),
    row(
        "ssh-port-taken",
        "Could not request local forwarding",
        "another process has one of the tunnel's ports on this machine",
        "find it with `ss -ltnp` and end it, or run `toolorch down` and `up`",
    ),
    row(
        "ssh-name",
        "Could not resolve hostname",
        "the host's name is not known here",
        "correct `ssh: { host }`, or ~/.ssh/config",
    ),
    row(
        "ssh-silent",
        "not responding",
        "the link is cut: the host has not answered for 15 s",
        "it is tried again by itself",
    ),
    row(
        "ssh-unreachable",
        "ssh: connect to host",
        "the host cannot be reached",
        "it is tried again by itself",
    ),
    row(
        "ssh-hung-up",
        "kex_exchange_identification",
        "the host hung up before the login: too many are logging in (MaxStartups), or sshd is being stopped",
        "it is tried again by itself",
    ),
];

/// What ended it, with the line that says so.
pub fn cause<'a>(lines: impl Iterator<Item = &'a str>) -> Option<(&'a str, &'static Words)> {
    let lines: Vec<&str> = lines.collect();
    WORDS.iter().find_map(|words| {
        let line = lines
            .iter()
            .rev()
            .find(|line| line.contains(words.needle))?;
        Some((*line, words))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_among_the_last_words() {
        let id = |text: &str| cause(text.lines()).map(|(_, words)| (words.id, words.permanent));
        let changed = "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nIT IS POSSIBLE\nHost key verification failed.";
        assert_eq!(id(changed), Some(("ssh-key-changed", true)));
        let unknown = "No ED25519 host key is known for gpu31 and you have requested strict checking.\nHost key verification failed.";
        assert_eq!(id(unknown), Some(("ssh-key-refused", true)));
        let old = "command-line: line 0: Bad configuration option: knownhostscommand";
        assert_eq!(id(old), Some(("ssh-too-old", true)));
        let open = "@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\nPermissions 0644 for '/k' are too open.\neva@gpu31: Permission denied (publickey).";
        assert_eq!(id(open), Some(("ssh-key-file-open", false)));
        let cut = "Timeout, server gpu31 not responding.";
        assert_eq!(id(cut), Some(("ssh-silent", false)));
        assert_eq!(
            id("channel 3: open failed: connect failed: Connection refused"),
            None
        );
    }
}
