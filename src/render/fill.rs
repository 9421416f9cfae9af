//! Filling in what users wrote as templates: one request, for a process whose time and memory are limited.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{FileSet, Renderer, client_config, render_plan};
use crate::base::{ConfigName, RunId, UnitId};
use crate::plan::Plan;

/// What is to be filled in.
#[derive(Debug, Serialize, Deserialize)]
pub enum FillRequest {
    /// All files of a plan, with templates over the built-in ones, by their names.
    Scripts {
        /// The plan.
        plan: Plan,
        /// The user's templates.
        overrides: BTreeMap<String, String>,
    },
    /// One client configuration.
    Config {
        /// The plan.
        plan: Plan,
        /// Which of its configurations.
        name: ConfigName,
        /// The run that it is written for.
        run: RunId,
        /// Units to be named.
        ready: BTreeSet<UnitId>,
        /// The user's template.
        template: String,
    },
}

/// A file that was filled in.
#[derive(Debug, Serialize, Deserialize)]
pub struct Filled {
    path: String,
    mode: u32,
    text: String,
}

impl Filled {
    /// Its text alone.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// What came of a request: files, or the words of a refusal.
pub type FillAnswer = Result<Vec<Filled>, String>;

impl FillRequest {
    /// Fills it in. A template can take any time and memory.
    ///
    /// # Errors
    /// What the template engine, or a format, refuses.
    pub fn answer(&self) -> FillAnswer {
        match self {
            Self::Scripts { plan, overrides } => {
                let files = Renderer::new(overrides)
                    .and_then(|renderer| render_plan(plan, &renderer))
                    .map_err(|error| error.to_string())?;
                let filled = files.iter().map(|(path, file)| Filled {
                    path: path.to_owned(),
                    mode: file.mode,
                    text: String::from_utf8_lossy(&file.bytes).into_owned(),
                });
                Ok(filled.collect())
            }
            Self::Config {
                plan,
                name,
                run,
                ready,
                template,
            } => {
                let config = plan.configs.iter().find(|config| config.name == *name);
                let config =
                    config.ok_or_else(|| format!("there is no client configuration `{name}`"))?;
                let text = client_config(plan, config, run, ready, Some(template))
                    .map_err(|error| error.to_string())?;
                Ok(vec![Filled {
                    path: config.path.clone(),
                    mode: 0o666,
                    text,
                }])
            }
        }
    }
}

impl FileSet {
    /// The files that were filled in.
    pub fn filled(files: Vec<Filled>) -> Self {
        let mut set = Self::new();
        for file in files {
            set.add(file.path, file.text.into_bytes(), file.mode);
        }
        set
    }
}
