//! What installations of vLLM said of their flags, kept for the user: `~/.cache/toolorch/vllm-flags.json`.
//!
//! vLLM's help takes half a minute of imports. Its answer is that of one installation, told by its program and the time of its
//! package; another installation at the same place is another key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::facts::{EnvFound, Known, VllmFound};
use crate::plan::inspect::Inspected;
use crate::run::store::{Mode, read_regular_text, write_atomically};

/// So many installations are kept; more would be of clusters that nobody looks at any more.
const KEPT: usize = 64;

/// The file; without a version that we know it counts as empty.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct FlagCache {
    version: u32,
    installations: BTreeMap<String, BTreeSet<String>>,
}

impl FlagCache {
    const VERSION: u32 = 1;

    /// What is kept; nothing where it cannot be read.
    pub(super) fn read() -> Self {
        let text = file().and_then(|file| read_regular_text(&file).ok());
        let read = text.and_then(|text| serde_json::from_str::<Self>(&text).ok());
        read.filter(|cache| cache.version == Self::VERSION)
            .unwrap_or_default()
    }

    /// The installations of which the flags are known.
    pub(super) fn keys(&self) -> BTreeSet<String> {
        self.installations.keys().cloned().collect()
    }

    /// Fills in what was not asked because it is known, and keeps what is new.
    pub(super) fn complete(mut self, looked: &mut [Inspected]) {
        let (mut new, mut seen) = (false, BTreeSet::new());
        for one in looked {
            let Known::Known(look) = &mut one.look else {
                continue;
            };
            for found in look.envs.values_mut() {
                let EnvFound::Present {
                    vllm: VllmFound::Installed { key, flags, .. },
                    ..
                } = found
                else {
                    continue;
                };
                seen.insert(key.clone());
                match flags {
                    Known::Known(flags) => {
                        let before = self.installations.insert(key.clone(), flags.clone());
                        new |= before.as_ref() != Some(flags);
                    }
                    Known::Unknown(_) => {
                        if let Some(known) = self.installations.get(key) {
                            *flags = Known::Known(known.clone());
                        }
                    }
                }
            }
        }
        if self.installations.len() > KEPT {
            self.installations.retain(|key, _| seen.contains(key));
        }
        if new {
            self.write();
        }
    }

    /// A cache that cannot be written is asked for again.
    fn write(mut self) {
        self.version = Self::VERSION;
        let Some(file) = file() else { return };
        let Ok(text) = serde_json::to_vec(&self) else {
            return;
        };
        let made = file.parent().map(std::fs::create_dir_all);
        if !matches!(made, Some(Ok(()))) || write_atomically(&file, &text, Mode::Private).is_err() {
            tracing::debug!(file = %file.display(), "flags are not kept");
        }
    }
}

fn file() -> Option<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("toolorch/vllm-flags.json"))
}
