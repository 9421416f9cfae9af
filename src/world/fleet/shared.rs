//! Whether a node sees files as they are here, and whom it can reach: asked before a client is started there.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::station::{Station, StationError};
use crate::base::Place;

/// A dataset on a slow network file system.
const LOOK: Duration = Duration::from_mins(2);

/// Prints the digest of each file, then each place that takes a connection.
const SCRIPT: &str = r#"
count=$1; shift
for ((i = 0; i < count; i++)); do
  sum=$(timeout 60 sha256sum <"$1" 2>/dev/null) && printf 'file %s %s\n' "$i" "${sum%% *}"
  shift
done
i=0
for place; do
  { timeout 5 bash -c ': <"/dev/tcp/$0/$1"' "${place%:*}" "${place##*:}" 2>/dev/null && printf 'place %s\n' "$i"; } &
  i=$((i + 1))
done
wait"#;

/// What a node sees of what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenThere {
    /// Files that are there as they are here, by their places in the list.
    pub files: BTreeSet<usize>,
    /// Places that took a connection, the same.
    pub places: BTreeSet<usize>,
}

impl Station {
    /// Which of these files have these SHA-256 digests there, and which of these places take a connection from there.
    ///
    /// # Errors
    /// [`StationError`].
    pub async fn sees(
        &self,
        files: &[(PathBuf, String)],
        places: &[Place],
    ) -> Result<SeenThere, StationError> {
        let count = files.len().to_string();
        let paths: Vec<String> = (files.iter())
            .map(|(path, _)| path.to_string_lossy().into_owned())
            .collect();
        let places: Vec<String> = (places.iter())
            .map(|place| format!("{}:{}", place.host, place.port))
            .collect();
        let mut words = vec!["bash", "-c", SCRIPT, "bash", &count];
        words.extend(paths.iter().chain(&places).map(String::as_str));
        let said = self.ask(&words, Vec::new(), LOOK).await?;
        Ok(read(&said, files))
    }
}

fn read(said: &str, files: &[(PathBuf, String)]) -> SeenThere {
    let mut seen = SeenThere::default();
    for line in said.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let nth = |text: &str| text.parse::<usize>().ok();
        match words.as_slice() {
            ["file", at, digest] => {
                let as_here = |at: &usize| files.get(*at).is_some_and(|(_, own)| own == digest);
                seen.files.extend(nth(at).filter(as_here));
            }
            ["place", at] => seen.places.extend(nth(at)),
            _ => {}
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    use crate::base::sha256;

    #[test]
    fn what_is_another_file_or_nobodys_port_is_not_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("same one"), "a").unwrap();
        std::fs::write(path("other"), "b").unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap().port();
        let files = ["same one", "other", "none"].map(|name| (path(name), sha256(b"a")));
        let mut bash = Command::new("bash");
        bash.args(["-c", SCRIPT, "bash", "3"])
            .args(files.iter().map(|(path, _)| path))
            .args(["127.0.0.1:1".to_owned(), format!("127.0.0.1:{open}")]);
        let said = bash.output().unwrap();
        let seen = read(&String::from_utf8(said.stdout).unwrap(), &files);
        assert_eq!(
            seen,
            SeenThere {
                files: BTreeSet::from([0]),
                places: BTreeSet::from([1]),
            }
        );
    }
}
