//! Whether a node sees files as they are here, and whom it can reach: asked before a client is started there.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

use super::station::{Station, StationError};
use crate::base::{Place, sha256};
use crate::plan::{EvalPlan, Plan, ResultsPlan};
use crate::run::store::read_regular;
use crate::world::books;
use crate::world::transport::{Command, Transport};

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

/// The files of an evaluation that its client works on, wherever it runs.
#[derive(Debug)]
pub struct SharedFiles {
    /// What must be the same there, with its digest here; and what each is, for people.
    files: Vec<(PathBuf, String)>,
    names: Vec<String>,
    /// Files that were put there to be looked at; they go with this.
    marks: Vec<NamedTempFile>,
}

impl SharedFiles {
    /// The results, the client's configuration and the dataset of an evaluation, as they are here.
    ///
    /// # Errors
    /// One of them cannot be read, or written into: in words.
    pub fn of(plan: &Plan, eval: &EvalPlan) -> Result<Self, String> {
        let mut shared = Self {
            files: Vec::new(),
            names: Vec::new(),
            marks: Vec::new(),
        };
        let results = match &eval.results {
            ResultsPlan::Dir { dir, .. } => dir,
            ResultsPlan::Jsonl { file } => file,
        };
        shared.mark(&books(&eval.results), &format!("the results `{results}`"))?;
        let config = plan
            .configs
            .iter()
            .find(|config| eval.config.as_ref() == Some(&config.name));
        if let Some(path) = config.map(|config| Path::new(&config.path))
            && let Some(dir) = path.parent()
        {
            let what = format!("the client's configuration `{}`", path.display());
            shared.mark(dir, &what)?;
        }
        if let Some(path) = &eval.dataset {
            shared.file(path)?;
        }
        Ok(shared)
    }

    /// A folder is the same if a file that is put into it here is found there.
    fn mark(&mut self, dir: &Path, what: &str) -> Result<(), String> {
        let failed =
            |error: std::io::Error| format!("cannot write into `{}`: {error}", dir.display());
        std::fs::create_dir_all(dir).map_err(failed)?;
        let mut mark = tempfile::Builder::new()
            .prefix(".toolorch-seen-")
            .tempfile_in(dir)
            .map_err(failed)?;
        // Its name is its own, and so is what it says.
        let text = mark.path().to_string_lossy().into_owned();
        mark.write_all(text.as_bytes()).map_err(failed)?;
        self.files
            .push((mark.path().to_owned(), sha256(text.as_bytes())));
        self.names.push(what.to_owned());
        self.marks.push(mark);
        Ok(())
    }

    fn file(&mut self, path: &str) -> Result<(), String> {
        let bytes = read_regular(path.as_ref())
            .map_err(|error| format!("cannot read the dataset `{path}`: {error}"))?;
        self.files.push((path.into(), sha256(&bytes)));
        self.names.push(format!("the dataset `{path}`"));
        Ok(())
    }

    /// The words of a command that looks at them there, and tries whether these places take a connection from there.
    fn words(&self, places: &[Place]) -> Vec<String> {
        let fixed = ["bash", "-c", SCRIPT, "bash"].map(str::to_owned);
        let paths = self.files.iter();
        let paths = paths.map(|(path, _)| path.to_string_lossy().into_owned());
        let places = places
            .iter()
            .map(|place| format!("{}:{}", place.host, place.port));
        let count = self.files.len().to_string();
        (fixed.into_iter().chain([count]))
            .chain(paths)
            .chain(places)
            .collect()
    }

    /// That a machine of this name sees all files as they are here.
    ///
    /// # Errors
    /// One of them it does not see so: in words, with what to do.
    pub fn are_seen(&self, seen: &SeenThere, place: &str) -> Result<(), String> {
        let mut names = self.names.iter().enumerate();
        match names.find(|(at, _)| !seen.files.contains(at)) {
            None => Ok(()),
            Some((_, what)) => Err(format!(
                "{place} does not see {what} as it is here: a client there works on files that both machines have at the same path; put \
                 them on a file system that both share, or leave `node` of the evaluation out"
            )),
        }
    }

    /// What a machine sees of them at this moment; none where it does not say in time.
    pub async fn seen_by(&self, transport: &dyn Transport, limit: Duration) -> Option<SeenThere> {
        let command = Command::new(self.words(&[]));
        let output = transport.exec(&command, limit).await.ok()?;
        (output.code == Some(0)).then(|| read(&output.stdout, &self.files))
    }
}

impl Station {
    /// What is seen there of these files, and which of these places take a connection from there.
    ///
    /// # Errors
    /// [`StationError`].
    pub async fn sees(
        &self,
        shared: &SharedFiles,
        places: &[Place],
    ) -> Result<SeenThere, StationError> {
        let words = shared.words(places);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = self.ask(&words, Vec::new(), LOOK).await?;
        Ok(read(&said, &shared.files))
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
