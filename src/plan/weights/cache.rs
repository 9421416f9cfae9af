//! Where `huggingface_hub` keeps a repository: blobs by digest, snapshots as links to them, a file for each branch.

use std::path::{Path, PathBuf};

use super::RepoId;
use crate::facts::RepoFile;

/// How names of files end that are not whole.
const INCOMPLETE: &str = ".toolorch.incomplete";

/// The folder of one repository in a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The repository's folder in a cache, such as `~/.cache/huggingface/hub`.
    pub fn new(hub: &Path, repo: &RepoId) -> Self {
        Self {
            root: hub.join(repo.folder()),
        }
    }

    /// It.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What a file holds.
    pub fn blob(&self, file: &RepoFile) -> PathBuf {
        self.root.join("blobs").join(&file.blob)
    }

    /// What of it was downloaded so far, by the n-th who did. Nobody else writes there: neither `huggingface_hub`, whose names
    /// differ, nor a toolorch that was taken for dead and goes on.
    pub fn incomplete(&self, file: &RepoFile, turn: u64) -> PathBuf {
        let name = format!("{}.{turn}{INCOMPLETE}", file.blob);
        self.root.join("blobs").join(name)
    }

    /// Of which turn a name among the blobs is what came of a file.
    pub fn turn_of(file: &RepoFile, name: &str) -> Option<u64> {
        let rest = name.strip_prefix(&file.blob)?.strip_prefix('.')?;
        rest.strip_suffix(INCOMPLETE)?.parse().ok()
    }

    /// The files of a commit under their names.
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    /// What a file's name in the snapshot is a link to: relative, so that a cache can be moved.
    pub fn link(&self, file: &RepoFile) -> PathBuf {
        let folders = file.path.matches('/').count();
        let mut target: PathBuf = std::iter::repeat_n("..", folders + 2).collect();
        target.push("blobs");
        target.push(&file.blob);
        target
    }

    /// Which commit a branch or tag is.
    pub fn reference(&self, revision: &str) -> PathBuf {
        self.root.join("refs").join(revision)
    }

    /// Our books about the repository, which nobody else reads.
    pub fn books(&self) -> PathBuf {
        self.root.join(".toolorch")
    }

    /// What the hub said of a commit.
    pub fn listing(&self, commit: &str) -> PathBuf {
        self.books().join(format!("{commit}.json"))
    }

    /// What `huggingface_hub` keeps of the same.
    pub fn tree(&self, commit: &str) -> PathBuf {
        self.root.join("trees").join(format!("{commit}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_from_a_snapshot_to_the_blobs() {
        let repo = RepoId::parse("a/b").unwrap();
        let cache = Cache::new(Path::new("/hub"), &repo);
        let file = |path: &str| RepoFile {
            path: path.to_owned(),
            size: 1,
            blob: "ff".to_owned(),
        };
        assert_eq!(cache.link(&file("x")), Path::new("../../blobs/ff"));
        assert_eq!(
            cache.link(&file("d/e/x")),
            Path::new("../../../../blobs/ff")
        );
        assert_eq!(
            cache.blob(&file("x")),
            Path::new("/hub/models--a--b/blobs/ff")
        );
        let part = cache.incomplete(&file("x"), 12);
        assert_eq!(
            part,
            Path::new("/hub/models--a--b/blobs/ff.12.toolorch.incomplete")
        );
        let turn = |name| Cache::turn_of(&file("x"), name);
        assert_eq!(turn("ff.12.toolorch.incomplete"), Some(12));
        assert_eq!(turn("fff.12.toolorch.incomplete"), None);
        assert_eq!(turn("ff.12.incomplete"), None);
        let at = cache.reference("refs/pr/1");
        assert_eq!(at, Path::new("/hub/models--a--b/refs/refs/pr/1"));
    }
}
