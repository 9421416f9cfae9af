//! Files as data: what `render` writes and `up` uploads.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::base::sha256;

/// The name of the list of files with their hashes; `render --out` overwrites only what the last one lists.
pub const MANIFEST: &str = "MANIFEST";

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its mode, such as `0o755`.
    pub mode: u32,
}

/// Files by their path relative to the output directory, with `/` between folders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileSet {
    files: BTreeMap<String, File>,
}

impl FileSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a script that can be started.
    pub fn add_script(&mut self, path: impl Into<String>, text: String) {
        self.add(path, text.into_bytes(), 0o755);
    }

    /// Adds a file, in place of an earlier one at this path.
    pub fn add(&mut self, path: impl Into<String>, bytes: Vec<u8>, mode: u32) {
        self.files.insert(path.into(), File { bytes, mode });
    }

    /// The file at this path.
    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// Every file, in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &File)> {
        self.files.iter().map(|(path, file)| (path.as_str(), file))
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The text of `MANIFEST`: one line per file, `sha256␠␠path`, as `sha256sum --check` reads it.
    pub fn manifest(&self) -> String {
        let mut text = String::new();
        for (path, file) in self.iter().filter(|(path, _)| *path != MANIFEST) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}  {path}", sha256(&file.bytes));
        }
        text
    }

    /// The set with its `MANIFEST`.
    #[must_use]
    pub fn with_manifest(mut self) -> Self {
        let text = self.manifest();
        self.add(MANIFEST, text.into_bytes(), 0o644);
        self
    }

    /// The paths that a `MANIFEST` lists; lines that are no entry are passed over.
    pub fn listed(manifest: &str) -> Vec<&str> {
        manifest
            .lines()
            .filter_map(|line| line.split_once("  "))
            .filter(|(hash, path)| hash.len() == 64 && !path.is_empty())
            .map(|(_, path)| path)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_lists_each_file_once_and_not_itself() {
        let mut files = FileSet::new();
        files.add_script("units/a.sh", "true\n".to_owned());
        files.add("plan.json", b"{}\n".to_vec(), 0o644);
        let files = files.with_manifest().with_manifest();
        let text = files.manifest();
        insta::assert_snapshot!(text, @r"
        ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356  plan.json
        a17fcf0a2f50e2d495e4f90ce263410edc183add6c62699a2facbccf60410f74  units/a.sh
        ");
        assert_eq!(FileSet::listed(&text), ["plan.json", "units/a.sh"]);
        assert_eq!(files.get("units/a.sh").map(|file| file.mode), Some(0o755));
    }
}
