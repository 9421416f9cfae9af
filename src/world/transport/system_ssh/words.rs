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
        "host key is known for",
        "run ssh to it once by hand, and compare the fingerprint",
    ),
    (
        "Host key verification failed",
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

/// So `ssh` names the other end of a jump or a `ProxyCommand`. What those said themselves it drops, when the connection is
/// to be shared.
const BY_A_PROXY: &str = "UNKNOWN port";

/// Whether sshd had too many logins at once, so that it is worth trying again.
pub(super) fn is_busy(stderr: &str) -> bool {
    let early = [
        "kex_exchange_identification:",
        "Connection closed by",
        "Connection reset by",
    ];
    let other = REFUSED
        .iter()
        .map(|(words, _)| *words)
        .chain(["stdio forwarding failed", BY_A_PROXY]);
    early.iter().any(|words| stderr.contains(words))
        && !other.clone().any(|words| stderr.contains(words))
}

/// What 255 means, if bash has not said that it runs.
pub(super) fn meaning(stderr: &str) -> LinkError {
    let spot = Spot::system_ssh();
    let line = |words: &str| {
        let found = stderr.lines().find(|line| line.contains(words));
        cut(
            &clean(found.unwrap_or_default().trim_matches(['@', ' ', '.'])),
            300,
        )
    };
    if let Some((words, fix)) = REFUSED.iter().find(|(words, _)| stderr.contains(words)) {
        return LinkError::refused(&spot, line(words), *fix);
    }
    if stderr.contains(BY_A_PROXY) {
        let why = format!(
            "{}; what a host on the way said is seen with `ssh` by hand",
            line(BY_A_PROXY)
        );
        return LinkError::unreachable(&spot, why);
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
        let said = [
            "ssh: connect to host gpu31 port 22: No route to host\r\n",
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by 10.0.0.31 port 22",
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535",
            "@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@\nHost key verification failed.",
            "No ED25519 host key is known for gpu31 and you have requested strict checking.\nHost key verification failed.",
            "eva@gpu31: Permission denied (publickey,keyboard-interactive).",
            "client_loop: send disconnect: Broken pipe",
        ];
        insta::assert_snapshot!(said.map(told).join("\n"), @r#"
        cannot reach `gpu31` (by the system's ssh): ssh: connect to host gpu31 port 22: No route to host; nothing was asked of it
        cannot reach `gpu31` (by the system's ssh): kex_exchange_identification: Connection closed by remote host; nothing was asked of it
        cannot reach `gpu31` (by the system's ssh): Connection closed by UNKNOWN port 65535; what a host on the way said is seen with `ssh` by hand; nothing was asked of it
        cannot use `gpu31` (by the system's ssh): WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!; somebody else may answer in its place; if it was installed anew, remove the old key with `ssh-keygen -R` and run ssh once by hand
        cannot use `gpu31` (by the system's ssh): No ED25519 host key is known for gpu31 and you have requested strict checking; run ssh to it once by hand, and compare the fingerprint
        cannot use `gpu31` (by the system's ssh): eva@gpu31: Permission denied (publickey,keyboard-interactive); `ssh -o BatchMode=yes` must let you in without a question: add your key to an agent, or make a shared connection by hand (ControlMaster, ControlPath in ~/.ssh/config)
        what became of `bash` on `gpu31` is unknown: ssh ended before it was done, and said: client_loop: send disconnect: Broken pipe
        "#);
    }

    #[test]
    fn only_an_sshd_with_too_many_logins_is_worth_another_attempt_at_once() {
        assert!(is_busy(
            "kex_exchange_identification: read: Connection reset by peer"
        ));
        assert!(is_busy("Connection closed by 10.0.0.31 port 22"));
        for other in [
            "ssh: connect to host gpu31 port 22: Connection refused",
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535",
            "Received disconnect: Too many authentication failures\nConnection closed by 10.0.0.31 port 22",
        ] {
            assert!(!is_busy(other), "{other}");
        }
    }
}
