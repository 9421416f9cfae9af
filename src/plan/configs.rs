//! The files from which clients learn the endpoints.

use crate::base::{ConfigName, FieldPath};
use crate::facts::Facts;
use crate::spec::ClusterSpec;
use crate::spec::model::ClientConfig;

use super::{ClientConfigPlan, paths};

/// The name of the one that is written as `client_config`.
pub const DEFAULT_CONFIG: &str = "default";

/// The variables of a model, service or external begin with this: `wiki-retrieval` → `WIKI_RETRIEVAL`.
pub fn variable(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// All of them: `client_config` first.
pub(crate) fn all(spec: &ClusterSpec, facts: &Facts) -> Vec<ClientConfigPlan> {
    let root = FieldPath::root();
    let single = spec.client_config.iter().map(|config| {
        let name = ConfigName::new(DEFAULT_CONFIG);
        one(name, config, root.key("client_config"), facts)
    });
    let named = spec.client_configs.iter().map(|(name, config)| {
        let origin = root.key("client_configs").key(name.as_str());
        one(name.clone(), config, origin, facts)
    });
    single.chain(named).collect()
}

fn one(
    name: ConfigName,
    config: &ClientConfig,
    origin: FieldPath,
    facts: &Facts,
) -> ClientConfigPlan {
    let home = facts.home.get().map(String::as_str);
    let absolute = |path: &str| paths::absolute(path, &facts.yaml_dir, home);
    ClientConfigPlan {
        name,
        format: config.format,
        path: absolute(&config.path),
        template: config.template.as_deref().map(absolute),
        extra: config.extra.clone(),
        origin,
    }
}
