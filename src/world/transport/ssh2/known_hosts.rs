//! Keys that files of known hosts have for a host.
//!
//! Line by line: the library gives up a whole file for one line that it cannot read. Names and patterns are
//! compared here, hashed names by the library.

use std::fs;
use std::path::{Path, PathBuf};

use ssh2::{CheckResult, KnownHostFileKind, Session};

/// A key that a line has for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// What the line says of it.
    pub(super) kind: Kind,
    /// The key's type: `ssh-ed25519`.
    pub(super) key_type: String,
    /// The key, in base64 without `=` at its end.
    pub(super) key: String,
    /// File and line.
    pub(super) place: String,
}

/// What a line says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is the host's.
    Trusted,
    /// It must never be taken.
    Revoked,
    /// It signs the keys of hosts.
    Authority,
}

/// The keys of a host, in the order of the files.
pub(super) fn known(files: &[PathBuf], name: &str, session: &Session) -> Vec<Known> {
    let of_file = |file: &PathBuf| match fs::read(file) {
        Ok(bytes) => known_in(&String::from_utf8_lossy(&bytes), file, name, session),
        Err(_) => Vec::new(),
    };
    files.iter().flat_map(of_file).collect()
}

fn known_in(text: &str, file: &Path, name: &str, session: &Session) -> Vec<Known> {
    let read = |(index, line): (usize, &str)| {
        let place = || format!("{} line {}", file.display(), index + 1);
        let mut words = line.split_whitespace();
        let mut first = words.next().filter(|word| !word.starts_with('#'))?;
        let kind = match first {
            "@revoked" => Kind::Revoked,
            "@cert-authority" => Kind::Authority,
            _ => Kind::Trusted,
        };
        if kind != Kind::Trusted {
            first = words.next()?;
        }
        let (key_type, key) = (words.next()?, words.next()?);
        let is_named = if first.starts_with('|') {
            is_hash_of(&format!("{first} {key_type} {key}"), name, session)
        } else {
            matches(first, name)
        };
        is_named.then(|| Known {
            kind,
            key_type: key_type.to_owned(),
            key: key.trim_end_matches('=').to_owned(),
            place: place(),
        })
    };
    text.lines().enumerate().filter_map(read).collect()
}

/// Whether a line with a hashed name is about this host: compared with a key that nobody has, it is a mismatch
/// then.
fn is_hash_of(line: &str, name: &str, session: &Session) -> bool {
    let Ok(mut hosts) = session.known_hosts() else {
        return false;
    };
    hosts.read_str(line, KnownHostFileKind::OpenSSH).is_ok()
        && !name.contains('\0')
        && matches!(
            hosts.check(name, b"nobody's"),
            CheckResult::Mismatch | CheckResult::Match
        )
}

/// Patterns with commas between them; one with `!` that fits excludes the host.
fn matches(patterns: &str, name: &str) -> bool {
    let mut found = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if fits(pattern.to_lowercase().as_bytes(), name.as_bytes()) => {
                return false;
            }
            Some(_) => {}
            None => found |= fits(pattern.to_lowercase().as_bytes(), name.as_bytes()),
        }
    }
    found
}

/// `*` stands for any characters, `?` for one.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=name.len()).any(|skip| fits(rest, &name[skip..])),
        ([b'?', pattern @ ..], [_, name @ ..]) => fits(pattern, name),
        ([a, pattern @ ..], [b, name @ ..]) if a == b => fits(pattern, name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `gpu31`, then `[gpu31]:2222`, as `ssh-keygen -H` writes them.
    const HASHED: &str = "\
|1|nbKIyCXGmkUogV3avpYGxZ1Ytl8=|betAP3oJVOcw6At2cpkyRnsZIBw= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOwYT4/3mr6Vd3jbZiAyMmpm0A/UJngZ0GYvqIvBPz0D
|1|4/ADfGPvus1fsMPgZawV6vn6c9Q=|+LrhZ5cTsgqfTo3y4KsBw12QLSU= ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOwYT4/3mr6Vd3jbZiAyMmpm0A/UJngZ0GYvqIvBPz0D
";

    fn keys(text: &str, name: &str) -> Vec<(Kind, String)> {
        let session = Session::new().unwrap();
        let known = known_in(text, Path::new("/kh"), name, &session);
        known
            .into_iter()
            .map(|known| (known.kind, known.place))
            .collect()
    }

    #[test]
    fn names_patterns_ports_and_marks_are_read_and_what_is_no_line_is_passed_over() {
        let text = "\
# comment
gpu31 ssh-ed25519 AAAA

garbage
[gpu31]:2222 ssh-ed25519 AAAA
gpu*,!gpu31 ssh-ed25519 AAAA
*.example.com,GPU3? ssh-ed25519 AAAA
@revoked * ssh-ed25519 AAAA
@cert-authority gpu31 ssh-ed25519 AAAA
other ssh-ed25519 AAAA
|1|garbage|garbage ssh-ed25519 AAAA
";
        let at = |kind, line: usize| (kind, format!("/kh line {line}"));
        let here = [
            at(Kind::Trusted, 2),
            at(Kind::Trusted, 7),
            at(Kind::Revoked, 8),
            at(Kind::Authority, 9),
        ];
        assert_eq!(keys(text, "gpu31"), here);
        let other_port = [at(Kind::Trusted, 5), at(Kind::Revoked, 8)];
        assert_eq!(keys(text, "[gpu31]:2222"), other_port);
        let pattern = [at(Kind::Trusted, 6), at(Kind::Revoked, 8)];
        assert_eq!(keys(text, "gpu4"), pattern);
    }

    #[test]
    fn hashed_names_are_found() {
        assert_eq!(keys(HASHED, "gpu31").len(), 1);
        assert_eq!(keys(HASHED, "[gpu31]:2222").len(), 1);
        assert_eq!(keys(HASHED, "gpu32"), []);
    }
}
