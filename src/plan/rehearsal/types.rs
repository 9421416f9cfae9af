//! What a rehearsal is.

use crate::base::Name;
use crate::diag::Report;
use crate::spec::ClusterSpec;

/// What is wanted of a rehearsal.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// The absolute folder in which everything of the rehearsal is written.
    pub folder: String,
    /// Virtual seconds in a second.
    pub speed: f64,
    /// Only the first so many questions of each dataset.
    pub head: Option<u64>,
}

/// A cluster as it is rehearsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsal {
    /// What is planned and run.
    pub spec: ClusterSpec,
    /// What was replaced, for people.
    pub replaced: Vec<Replaced>,
    /// What has to be there before the plan is made.
    pub props: Vec<Prop>,
    /// Where the proxy that lets nothing out writes what it refused.
    pub outside_log: String,
    /// Stand-ins for externals: their service and the URL that they stand for.
    pub externals: Vec<(Name, String)>,
    /// Services of the YAML: those that are not stand-ins for the world outside.
    pub services: Vec<Name>,
    /// Models of whose servers some rate is assumed, not said.
    pub assumed: Vec<Name>,
    /// What stands in the way.
    pub report: Report,
}

/// Something of the site, and what stands for it here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// What the YAML calls it.
    pub what: String,
    /// What stands for it.
    pub by: String,
    /// Why, where that is not plain.
    pub why: Option<String>,
}

/// A file or folder that a rehearsal needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prop {
    /// An empty folder.
    Folder {
        /// Its absolute path.
        path: String,
    },
    /// A file with this text.
    Text {
        /// Its absolute path.
        path: String,
        /// All of it.
        text: String,
    },
    /// The first lines of another file that are not blank.
    Head {
        /// Its absolute path.
        path: String,
        /// The other file.
        of: String,
        /// How many lines.
        lines: u64,
    },
}

impl Prop {
    /// Where it lies.
    pub fn path(&self) -> &str {
        match self {
            Self::Folder { path } | Self::Text { path, .. } | Self::Head { path, .. } => path,
        }
    }
}
