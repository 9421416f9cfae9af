//! What the files of a model say.

use serde::{Deserialize, Serialize};

/// Files of a model that were found on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFiles {
    /// The folder that holds them: the model itself, or its snapshot in a Hugging Face cache.
    pub folder: String,
    /// Its `config.json`.
    pub config: serde_json::Value,
    /// Bytes of its weights, where all of them are there or their index says it.
    pub weight_bytes: Option<u64>,
}
