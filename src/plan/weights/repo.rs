//! Names of repositories and revisions, as hubs have them.

use std::fmt;

/// The longest name of a repository that hubs know.
const LONGEST: usize = 96;

/// A repository of models: `org/name`, or one of the few old ones without an organisation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoId(String);

impl RepoId {
    /// Reads what is passed to vLLM as the model; none where that is a path or another address.
    pub fn parse(model: &str) -> Option<Self> {
        let parts: Vec<&str> = model.split('/').collect();
        let fits = parts.len() <= 2 && parts.iter().all(|part| is_name(part));
        let fits = fits && model.len() <= LONGEST && !model.contains("--");
        let ends = model.strip_suffix(".git").is_some();
        (fits && !ends).then(|| Self(model.to_owned()))
    }

    /// Its folder in a cache: `models--org--name`.
    pub fn folder(&self) -> String {
        format!("models--{}", self.0.replace('/', "--"))
    }
}

impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_name(part: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let edge = |c: char| matches!(c, '-' | '.');
    !part.is_empty() && part.chars().all(allowed) && !part.contains("..") && {
        !part.starts_with(edge) && !part.ends_with(edge)
    }
}

/// Whether a revision is a commit by itself, which no branch can move.
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40
        && revision
            .bytes()
            .all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
}

/// Whether git would take it for a branch, a tag or a commit; as a path it stays in its folder.
pub fn is_revision(revision: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains("..");
    let allowed = |c: char| !c.is_control() && !" ~^:?*[\\".contains(c);
    revision.split('/').all(part) && revision.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_told_from_a_path() {
        for model in [
            "Qwen/Qwen3-32B-FP8",
            "openai/gpt-oss-20b",
            "gpt2",
            "a/b.c_d",
        ] {
            assert!(RepoId::parse(model).is_some(), "{model}");
        }
        let long = format!("a/{}", "b".repeat(95));
        for model in [
            "/ckpt/x", "./x/y", "../x", "a/b/c", "a/", "", "s3://a/b", "a/b:Q4", "a--b/c",
            "a/b.git", "a/..", "a/.b", "a b", &long,
        ] {
            assert!(RepoId::parse(model).is_none(), "{model}");
        }
        let folder = RepoId::parse("Qwen/Qwen3-8B").unwrap().folder();
        assert_eq!(folder, "models--Qwen--Qwen3-8B");
    }

    #[test]
    fn a_revision_stays_in_its_folder() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for revision in ["main", "v1.0", "refs/pr/3", commit] {
            assert!(is_revision(revision), "{revision}");
        }
        for revision in [
            "",
            "/x",
            "../x",
            "a/../../b",
            "a//b",
            "a b",
            "x\ny",
            ".hidden",
            "a/",
        ] {
            assert!(!is_revision(revision), "{revision}");
        }
        assert!(is_commit(commit));
        assert!(!is_commit("main"));
    }
}
