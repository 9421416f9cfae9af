//! The environment in which something runs.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::oneof::{ScalarText, TextMap};
use crate::spec::schema::VARIABLE;

/// A text value of an environment variable.
pub type EnvText = ScalarText;

/// An environment. Levels merge as top < node < model, service or evaluation: lists append, maps
/// override, and of `conda`, `venv` and `container` the most specific replaces the others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-exclusive" = [["conda", "venv", "container"]]))]
pub struct Env {
    /// The name or path of a conda environment to activate.
    pub conda: Option<String>,
    /// The path of a virtual environment to activate.
    pub venv: Option<String>,
    /// Environment modules to load, in order.
    #[serde(default)]
    pub modules: Vec<String>,
    /// A container to run in.
    pub container: Option<Container>,
    /// Shell lines to run before the program: the one place where YAML is shell.
    #[serde(default)]
    pub setup: Vec<String>,
    /// Names of variables handed on from the caller. Of the others only HOME, PATH, LANG, TMPDIR and the like, and those of
    /// SLURM, CUDA and environment modules stay.
    #[serde(default)]
    #[schemars(inner(regex(pattern = VARIABLE)))]
    pub pass: Vec<String>,
    /// Variables to set. Numbers keep their source text.
    #[serde(default)]
    #[schemars(extend("propertyNames" = { "pattern": VARIABLE }))]
    pub set: TextMap,
    /// Variables to remove.
    #[serde(default)]
    #[schemars(inner(regex(pattern = VARIABLE)))]
    pub unset: Vec<String>,
    /// The umask for what the program writes, in octal and quoted: `"022"`.
    pub umask: Option<ScalarText>,
}

impl Env {
    /// Variables to set, in order.
    pub fn set(&self) -> &IndexMap<String, EnvText> {
        &self.set
    }
}

/// A container to run in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// What runs it.
    pub runtime: ContainerRuntime,
    /// The image: a path or an address that the runtime understands.
    pub image: String,
    /// Directories to mount beside its working directory, results, caches and weights: `HOST:INSIDE`.
    #[serde(default)]
    pub mounts: Vec<String>,
}

/// What runs a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ContainerRuntime {
    /// Apptainer, on any node.
    Apptainer,
    /// `SingularityCE`, on any node.
    Singularity,
    /// The SLURM plug-in Pyxis, in jobs.
    Pyxis,
}

impl ContainerRuntime {
    /// Its word in the YAML, and in scripts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Apptainer => "apptainer",
            Self::Singularity => "singularity",
            Self::Pyxis => "pyxis",
        }
    }

    /// The program that enters it.
    pub fn program(self) -> &'static str {
        match self {
            Self::Pyxis => "srun",
            Self::Apptainer | Self::Singularity => self.word(),
        }
    }
}
