//! What `ssh` means when it ends with 255: it says so only in words.

use crate::base::{clean, cut};
use crate::world::transport::link_error::{LinkError, Spot};

/// The connection was not made: nothing was asked.
const NOT_MADE: [&str; 9] = [
    "ssh: connect to host",
    "ssh: Could not resolve hostname",
    "kex_exchange_identification:",
    "banner exchange",
    "Connection closed by",
    "Connection reset by",
    "Connection timed out",
    "stdio forwarding failed",
    "ssh_exchange_identification:",
];

/// A person has to act, and what to do.
const REFUSED: [(&str, &str); 7] = [
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "somebody else may answer in its place; if it was installed anew, remove the old key with `ssh-keygen -R` and \
         run ssh once by hand",
    ),
    (
        "Host key verification failed",
        "run ssh to it once by hand, and compare the fingerprint",
    ),
    (
        "host key is known for",
        "run ssh to it once by hand, and compare the fingerprint",
    ),
    (
        "Too many authentication failures",
        "name the one key: `identity` in the YAML",
    ),
    (
        "Permission denied (",
        "`ssh -o BatchMode=yes` must let you in without a question: add your key to an agent, or make a shared \
         connection by hand (ControlMaster, ControlPath in ~/.ssh/config)",
    ),
    ("Bad configuration option", "correct ~/.ssh/config"),
    ("Bad owner or permissions on", "correct the permissions"),
];

/// Whether sshd had too many logins at once, so that it is worth trying again.
pub(super) fn is_busy(stderr: &str) -> bool {
    let early = [
        "kex_exchange_identification:",
        "Connection closed by",
        "Connection reset by",
    ];
    early.iter().any(|words| stderr.contains(words)) && !stderr.contains("Too many authentication")
}

/// What 255 means, if bash has not said that it runs.
pub(super) fn meaning(stderr: &str) -> LinkError {
    let spot = Spot::system_ssh();
    let line = |words: &str| {
        let found = stderr.lines().find(|line| line.contains(words));
        cut(
            &clean(found.unwrap_or_default().trim_matches(['@', ' '])),
            300,
        )
    };
    if let Some((words, fix)) = REFUSED.iter().find(|(words, _)| stderr.contains(words)) {
        return LinkError::refused(&spot, line(words), *fix);
    }
    if let Some(words) = NOT_MADE.iter().find(|words| stderr.contains(**words)) {
        return LinkError::unreachable(&spot, line(words));
    }
    let last = crate::world::transport::reply::one_line(stderr.as_bytes());
    LinkError::Unknown {
        why: format!("ssh ended before it was done, and said: {last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stderr: &str) -> String {
        meaning(stderr).told("gpu31", "bash").to_string()
    }

    #[test]
    fn what_ssh_says_tells_whether_something_was_asked() {
        insta::assert_snapshot!(told("ssh: connect to host gpu31 port 22: No route to host\r\n"), @"");
        insta::assert_snapshot!(told("kex_exchange_identification: Connection closed by remote host\nConnection closed by 10.0.0.31 port 22"), @"");
        insta::assert_snapshot!(told("@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@\nHost key verification failed."), @"");
        insta::assert_snapshot!(told("No ED25519 host key is known for gpu31 and you have requested strict checking.\nHost key verification failed."), @"");
        insta::assert_snapshot!(told("eva@gpu31: Permission denied (publickey,keyboard-interactive)."), @"");
        insta::assert_snapshot!(told("client_loop: send disconnect: Broken pipe"), @"");
    }
}
