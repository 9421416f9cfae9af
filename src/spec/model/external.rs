//! Endpoints that are not started here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::schema::VARIABLE;

/// An endpoint that is not started here: a judge's API, a server already up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// Its base URL, such as `https://api.openai.com/v1`.
    pub url: String,
    /// The models that are asked for there.
    #[serde(default)]
    pub models: Vec<String>,
    /// Where its key comes from; the YAML never holds it.
    pub api_key: Option<Secret>,
}

/// Where a secret comes from. The YAML names secrets, it never holds them: just one of the keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct Secret {
    /// A variable of the caller's environment.
    #[schemars(regex(pattern = VARIABLE))]
    pub env: Option<String>,
    /// A file of mode 0600.
    pub file: Option<String>,
}
