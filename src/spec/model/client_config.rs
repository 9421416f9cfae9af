//! The file from which an evaluation client learns the endpoints.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The shape of a client configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClientConfigFormat {
    /// ToolOrchestra's `model_config.json`.
    Toolorchestra,
    /// `NAME_BASE_URL=…` lines for OpenAI clients.
    OpenaiEnv,
    /// A configuration of the LiteLLM proxy.
    Litellm,
    /// A Tera template of the user's.
    Template,
}

impl ClientConfigFormat {
    /// How the YAML writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Toolorchestra => "toolorchestra",
            Self::OpenaiEnv => "openai-env",
            Self::Litellm => "litellm",
            Self::Template => "template",
        }
    }
}

/// The file from which an evaluation client learns the endpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// Its shape.
    pub format: ClientConfigFormat,
    /// Where it is written, from the YAML's folder.
    pub path: String,
    /// With `format: template`: the template, from the YAML's folder.
    pub template: Option<String>,
    /// More keys, merged over those that are generated.
    #[serde(default)]
    pub extra: IndexMap<String, serde_json::Value>,
}
