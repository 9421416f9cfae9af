//! What a hub says of a repository: the files of one revision, or why it does not say.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepoFile {
    /// Its path in the repository, with slashes.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// Its name among the blobs of a cache: the SHA-256 of a large file, git's SHA-1 of another.
    pub blob: String,
}

impl RepoFile {
    /// What `sha256sum` says of it, where the hub tells.
    pub fn sha256(&self) -> Option<&str> {
        (self.blob.len() == 64).then_some(self.blob.as_str())
    }
}

/// The files of one commit of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The version of this form: 1.
    pub v: u32,
    /// The commit, in 40 hexadecimal digits.
    pub commit: String,
    /// Whoever wants to read it must have been let in.
    #[serde(default)]
    pub gated: bool,
    /// Its files.
    pub files: Vec<RepoFile>,
}

impl Listing {
    /// The version of the form that this program writes.
    pub const FORMAT: u32 = 1;

    /// Reads the answer to `/api/models/REPO/revision/REVISION?blobs=true`.
    ///
    /// # Errors
    /// It says something else, or a name in it would lead out of a folder: in words.
    pub fn of_hub(text: &str) -> Result<Self, String> {
        let answer: Value =
            serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
        let commit = answer["sha"].as_str().unwrap_or_default();
        if !is_hex(commit, 40) {
            return Err("it names no commit".to_owned());
        }
        let siblings = answer["siblings"].as_array().ok_or("it lists no files")?;
        let files: Result<_, _> = siblings.iter().map(sibling).collect();
        Ok(Self {
            v: Self::FORMAT,
            commit: commit.to_owned(),
            gated: !matches!(answer["gated"], Value::Null | Value::Bool(false)),
            files: files?,
        })
    }

    /// Reads what `huggingface_hub` keeps of a commit: `trees/COMMIT.json` in its cache, from 2.0 on.
    pub fn of_tree(commit: &str, text: &str) -> Option<Self> {
        let tree: Value = serde_json::from_str(text).ok()?;
        if tree["format_version"] != 1 {
            return None;
        }
        let file = |(path, entry): (&String, &Value)| {
            let large = entry["lfs_sha256"].as_str();
            checked(
                path,
                entry["lfs_size"].as_u64().or(entry["size"].as_u64()),
                large.or(entry["blob_id"].as_str()),
            )
            .ok()
        };
        let files: Option<_> = tree["files"].as_object()?.iter().map(file).collect();
        Some(Self {
            v: Self::FORMAT,
            commit: commit.to_owned(),
            gated: false,
            files: files?,
        })
    }
}

fn sibling(entry: &Value) -> Result<RepoFile, String> {
    let large = &entry["lfs"];
    let blob = large["sha256"].as_str().or(entry["blobId"].as_str());
    let size = large["size"].as_u64().or(entry["size"].as_u64());
    let path = entry["rfilename"].as_str().unwrap_or_default();
    checked(path, size, blob)
}

/// A hub is not to be trusted with the names of files here.
fn checked(path: &str, size: Option<u64>, blob: Option<&str>) -> Result<RepoFile, String> {
    let inside = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']);
    if !path.split('/').all(inside) {
        return Err(format!("it lists a file `{}`", crate::base::clean(path)));
    }
    let (Some(size), Some(blob)) = (size, blob) else {
        return Err(format!("it says no size of `{}`", crate::base::clean(path)));
    };
    if !is_hex(blob, 40) && !is_hex(blob, 64) {
        return Err(format!(
            "it says no digest of `{}`",
            crate::base::clean(path)
        ));
    }
    Ok(RepoFile {
        path: path.to_owned(),
        size,
        blob: blob.to_owned(),
    })
}

fn is_hex(text: &str, digits: usize) -> bool {
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == digits && text.bytes().all(hex)
}

/// Why a hub does not give what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubRefusal {
    /// One must have been let in: 401 or 403.
    Gated(u16),
    /// It is private, or not there: 401, 403 or 404.
    Closed(u16),
    /// There is no such repository.
    NoRepository,
    /// The repository has no such revision.
    NoRevision,
    /// It does not know the token.
    BadToken,
    /// Anything else, with the hub's words.
    Other(u16, String),
}

impl HubRefusal {
    /// Reads a status and the headers `X-Error-Code` and `X-Error-Message`; none where it may answer later.
    pub fn of(status: u16, code: Option<&str>, message: Option<&str>) -> Option<Self> {
        let message = message.unwrap_or_default();
        match (status, code) {
            (408 | 429 | 500.., _) => None,
            (_, Some("GatedRepo")) => Some(Self::Gated(status)),
            (_, Some("RevisionNotFound")) => Some(Self::NoRevision),
            (401, _) if message.starts_with("Invalid credentials") => Some(Self::BadToken),
            (401 | 403, _) => Some(Self::Closed(status)),
            (404, Some("RepoNotFound") | None) => Some(Self::NoRepository),
            _ => Some(Self::Other(status, crate::base::clean(message))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn listed(file: &str) -> Result<Listing, String> {
        Listing::of_hub(&format!("{{\"sha\":\"{COMMIT}\",\"siblings\":[{file}]}}"))
    }

    #[test]
    fn large_files_are_known_by_their_own_digest() {
        let (sha1, sha256) = ("a".repeat(40), "b".repeat(64));
        let listing = listed(&format!(
            r#"{{"rfilename":"config.json","size":7,"blobId":"{sha1}"}},
            {{"rfilename":"a/b.safetensors","size":9,"blobId":"{sha1}","lfs":{{"sha256":"{sha256}","size":9}}}}"#
        ))
        .unwrap();
        assert_eq!(listing.commit, COMMIT);
        assert!(!listing.gated);
        assert_eq!(listing.files[0].sha256(), None);
        assert_eq!(listing.files[1].sha256(), Some(sha256.as_str()));
        let tree = Listing::of_tree(
            COMMIT,
            &format!(
                r#"{{"format_version":1,"files":{{"config.json":{{"size":7,"blob_id":"{sha1}"}},
            "a/b.safetensors":{{"size":130,"blob_id":"{sha1}","lfs_sha256":"{sha256}","lfs_size":9}}}}}}"#
            ),
        );
        assert_eq!(tree.unwrap().files, listing.files);
    }

    #[test]
    fn no_name_leads_out_of_its_folder() {
        let sha1 = "a".repeat(40);
        for path in ["../x", "/x", "a/../../x", "a//b", "", "a\\\\b"] {
            let file = format!(r#"{{"rfilename":"{path}","size":7,"blobId":"{sha1}"}}"#);
            assert!(listed(&file).is_err(), "{path}");
        }
        let blob = r#"{"rfilename":"x","size":7,"blobId":"../../../../../../../../../../../../x"}"#;
        assert_eq!(listed(blob), Err("it says no digest of `x`".to_owned()));
        assert!(listed(r#"{"rfilename":"x","blobId":"a"}"#).is_err());
        assert!(Listing::of_hub(r#"{"sha":"main","siblings":[]}"#).is_err());
        assert!(Listing::of_hub("<html>").is_err());
    }

    #[test]
    fn refusals_are_told_apart() {
        use HubRefusal::*;
        for (status, code, message, expected) in [
            (401, Some("GatedRepo"), None, Some(Gated(401))),
            (403, Some("GatedRepo"), None, Some(Gated(403))),
            (401, Some("RepoNotFound"), None, Some(Closed(401))),
            (404, Some("RepoNotFound"), None, Some(NoRepository)),
            (404, Some("RevisionNotFound"), None, Some(NoRevision)),
            (404, None, None, Some(NoRepository)),
            (
                401,
                None,
                Some("Invalid credentials in Authorization header"),
                Some(BadToken),
            ),
            (429, None, None, None),
            (503, None, None, None),
            (
                418,
                None,
                Some("no\u{1b}[2J"),
                Some(Other(418, crate::base::clean("no\u{1b}[2J"))),
            ),
        ] {
            assert_eq!(HubRefusal::of(status, code, message), expected, "{status}");
        }
    }
}
