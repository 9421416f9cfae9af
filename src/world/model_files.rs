//! Reads what the files of models say: `config.json` and the size of the weights. Nothing large is read.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::base::without_numbers_of_python;
use crate::facts::{Facts, Known, ModelFiles};
use crate::plan::weights::{Wanted, Weights};

/// So much of an index is read: its size stands in front of its map of some thousand tensors.
const HEAD: u64 = 4096;

/// Reads what caches of this machine know of models that are no folders; whether any was found.
pub fn add_cached_models(facts: &mut Facts, weights: &Weights) -> bool {
    let mut any = false;
    for wanted in &weights.wanted {
        let Some(folder) = snapshot(wanted) else {
            continue;
        };
        let found = read_model(&folder);
        any |= found.get().is_some();
        for model in &wanted.models {
            facts.models.insert(model.clone(), found.clone());
        }
    }
    any
}

/// Where a cache has the wanted revision.
fn snapshot(wanted: &Wanted) -> Option<PathBuf> {
    let cache = wanted.cache();
    let named = fs::read_to_string(cache.reference(&wanted.revision));
    let commit = named.unwrap_or_else(|_| wanted.revision.clone());
    let folder = cache.snapshot(commit.trim());
    folder.join("config.json").is_file().then_some(folder)
}

/// What the files in a folder say; unknown without a `config.json`.
pub(super) fn read_model(folder: &Path) -> Known<ModelFiles> {
    let file = folder.join("config.json");
    let config = fs::read_to_string(&file)
        .map_err(|error| format!("cannot read `{}`: {error}", file.display()))
        .and_then(|text| {
            // Nemotron-H's has `Infinity`.
            let text = without_numbers_of_python(&text).unwrap_or(text);
            serde_json::from_str(&text)
                .map_err(|error| format!("`{}` is not JSON: {error}", file.display()))
        });
    match config {
        Ok(config) => Known::Known(ModelFiles {
            folder: folder.to_string_lossy().into_owned(),
            config,
            weight_bytes: index_bytes(folder).or_else(|| file_bytes(folder)),
        }),
        Err(why) => Known::Unknown(why),
    }
}

/// `total_size` of the index.
fn index_bytes(folder: &Path) -> Option<u64> {
    let file = fs::File::open(folder.join("model.safetensors.index.json")).ok()?;
    let mut head = Vec::new();
    file.take(HEAD).read_to_end(&mut head).ok()?;
    let head = String::from_utf8_lossy(&head);
    let (_, rest) = head.split_once("\"total_size\"")?;
    let number = rest.trim_start().strip_prefix(':')?.trim_start();
    let digits = number.find(|c: char| !c.is_ascii_digit())?;
    number[..digits].parse().ok()
}

/// The size of all safetensors, where none of a numbered row is missing.
fn file_bytes(folder: &Path) -> Option<u64> {
    let mut bytes = 0;
    let (mut found, mut wanted) = (0, 1);
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(bare) = name.strip_suffix(".safetensors") else {
            continue;
        };
        // The same weights in another form.
        if bare.starts_with("consolidated") {
            continue;
        }
        if let Some((_, of)) = bare.rsplit_once("-of-") {
            wanted = of.parse().ok()?;
        }
        found += 1;
        // Through the links of a cache.
        bytes += fs::metadata(entry.path()).ok()?.len();
    }
    (found == wanted).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn weights(files: &[(&str, &str)]) -> Option<u64> {
        let folder = folder(files);
        read_model(folder.path()).get().unwrap().weight_bytes
    }

    #[test]
    fn weights_are_counted_or_not_known() {
        let config = ("config.json", "{}");
        assert_eq!(weights(&[config]), None);
        assert_eq!(weights(&[config, ("model.safetensors", "12345")]), Some(5));
        let first = ("model-00001-of-00002.safetensors", "12345");
        assert_eq!(weights(&[config, first]), None);
        let second = ("model-00002-of-00002.safetensors", "123");
        let other = ("consolidated.safetensors", "12345678");
        assert_eq!(weights(&[config, first, second, other]), Some(8));
        let index = (
            "model.safetensors.index.json",
            "{\n  \"metadata\": {\n    \"total_size\": 65524246528\n  },\n  \"weight_map\": {}}",
        );
        assert_eq!(weights(&[config, first, index]), Some(65_524_246_528));
    }

    #[test]
    fn numbers_of_python_are_read() {
        let folder = folder(&[("config.json", "{\"time_step_limit\": [0.0, Infinity]}")]);
        assert!(read_model(folder.path()).get().is_some());
    }

    #[test]
    fn a_config_that_is_none_is_not_known() {
        let folder = folder(&[("config.json", "{")]);
        assert!(read_model(folder.path()).get().is_none());
        assert!(read_model(&folder.path().join("absent")).get().is_none());
    }
}
