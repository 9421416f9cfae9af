//! The templates, and Tera around them.
//!
//! What all unit scripts have in common is no template: it is one file of bash that they source ([`LIBRARY`]).
//! Every `{{ value }}` of every template is quoted for bash; there is no way around it (`safe` is refused), no function
//! reads the environment, and a name that is not there is an error with its template and line.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use tera::{Context, Kwargs, State, Tera, TeraResult, Value};

use super::context::{GroupContext, NodeContext, UnitContext};
use super::error::RenderError;
use super::quote::{directive, quote};
use crate::knowledge::credentials;

const UNIT: &str = "unit.sh.tera";
const TMUX: &str = "tmux.sh.tera";
const GROUP: &str = "group.sbatch.tera";

/// The templates of this program, by the names under which `--templates DIR` overrides them.
pub const BUILT_IN: [(&str, &str); 3] = [
    (UNIT, include_str!("../../templates/unit.sh.tera")),
    (TMUX, include_str!("../../templates/tmux.sh.tera")),
    (GROUP, include_str!("../../templates/group.sbatch.tera")),
];

/// The file of the set that every unit script sources, and the name under which `--templates DIR` replaces it.
pub const LIBRARY: &str = "lib/unit.sh";

/// The file of the set that a controller runs on nodes that it reaches from elsewhere; it sources [`LIBRARY`].
pub const NODE: &str = "lib/node.sh";
/// Its text.
pub const NODE_TEXT: &str = include_str!("../../templates/node.sh");

/// The file of the set that a controller runs where jobs are submitted.
pub const SLURM: &str = "lib/slurm.sh";
/// Its text.
pub const SLURM_TEXT: &str = include_str!("../../templates/slurm.sh");

/// The file of the set that tells what a machine does.
pub const SAMPLE: &str = "lib/sample.sh";
/// Its text.
pub const SAMPLE_TEXT: &str = include_str!("../../templates/sample.sh");

/// The library, topic by topic; the names to drop come after the first. One file in the set, so that a start never
/// meets half of another version.
const TOPICS: [&str; 11] = [
    include_str!("../../templates/lib/begin.sh"),
    include_str!("../../templates/lib/state.sh"),
    include_str!("../../templates/lib/processes.sh"),
    include_str!("../../templates/lib/sockets.sh"),
    include_str!("../../templates/lib/claims.sh"),
    include_str!("../../templates/lib/stage.sh"),
    include_str!("../../templates/lib/container.sh"),
    include_str!("../../templates/lib/program.sh"),
    include_str!("../../templates/lib/alone.sh"),
    include_str!("../../templates/lib/run.sh"),
    include_str!("../../templates/lib/verbs.sh"),
];

/// The templates, parsed, and the library.
#[derive(Debug)]
pub struct Renderer {
    tera: Tera,
    library: String,
}

impl Renderer {
    /// Parses the built-in templates and a user's, which replace those of the same name.
    ///
    /// # Errors
    /// A name that no template has, or text that Tera cannot parse.
    pub fn new(overrides: &BTreeMap<String, String>) -> Result<Self, RenderError> {
        if let Some(name) = overrides
            .keys()
            .find(|name| !known().contains(&name.as_str()))
        {
            return Err(RenderError::UnknownTemplate {
                name: name.clone(),
                known: known().map(|name| format!("`{name}`")).join(", "),
            });
        }
        let mut tera = Tera::default();
        tera.autoescape_on([".tera", ".sh", ".sbatch"]);
        tera.set_escape_fn(escape);
        tera.register_filter("directive", directive_filter);
        tera.register_filter("safe", no_safe);
        tera.add_raw_templates(BUILT_IN.map(|(name, text)| {
            let text = overrides.get(name).map_or(text, String::as_str);
            (name, plain(text))
        }))?;
        let library = match overrides.get(LIBRARY) {
            Some(own) => plain(own),
            None => library()?,
        };
        Ok(Self { tera, library })
    }

    /// What all unit scripts source: the text of [`LIBRARY`].
    pub fn library(&self) -> &str {
        &self.library
    }

    /// The script of one unit.
    ///
    /// # Errors
    /// A value that no script can hold, or a template that asks for what is not there.
    pub fn unit(&self, unit: &UnitContext) -> Result<String, RenderError> {
        #[derive(Serialize)]
        struct Values<'a> {
            unit: &'a UnitContext,
        }
        unit.check()?;
        self.render(UNIT, &Values { unit })
    }

    /// The script that starts, lists and stops the units of one node in tmux.
    ///
    /// # Errors
    /// As [`Renderer::unit`].
    pub fn tmux(&self, node: &NodeContext) -> Result<String, RenderError> {
        self.render(TMUX, node)
    }

    /// The SLURM job of units that share a node.
    ///
    /// # Errors
    /// As [`Renderer::unit`], and a text that would break out of its `#SBATCH` line.
    pub fn sbatch(&self, group: &GroupContext) -> Result<String, RenderError> {
        self.render(GROUP, group)
    }

    fn render(&self, name: &str, values: &impl Serialize) -> Result<String, RenderError> {
        let context = Context::from_serialize(values)?;
        Ok(self.tera.render(name, &context)?)
    }
}

/// The number of the form in which a library keeps a unit's state: its verbs understand the supervisors of another
/// library that names the same.
pub fn state_format(library: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(library).ok()?;
    text.lines().find_map(|line| line.strip_prefix("U_FORMAT="))
}

fn known() -> [&'static str; 4] {
    let [unit, tmux, group] = BUILT_IN.map(|(name, _)| name);
    [unit, tmux, group, LIBRARY]
}

/// bash reads a carriage return as part of a word: an editor's line ends must not get that far.
fn plain(text: &str) -> String {
    text.trim_start_matches('\u{feff}').replace("\r\n", "\n")
}

fn library() -> Result<String, RenderError> {
    let [begin, rest @ ..] = TOPICS;
    let names = credentials::PATTERNS.join("|");
    let names = quote(&names)?;
    Ok(format!(
        "{begin}U_CREDENTIALS={names}\n\n{}",
        rest.join("\n")
    ))
}

fn escape(text: &str, out: &mut dyn io::Write) -> io::Result<()> {
    let word = quote(text).map_err(io::Error::other)?;
    out.write_all(word.as_bytes())
}

/// `{{ text | directive }}`: the one value that is not quoted for bash, because SLURM reads it.
fn directive_filter(value: &Value, _: Kwargs, _: &State) -> TeraResult<Value> {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    let text = directive(&text).map_err(tera::Error::message)?;
    Ok(Value::safe_string(&text))
}

fn no_safe(_: &Value, _: Kwargs, _: &State) -> TeraResult<Value> {
    Err(tera::Error::message(
        "`safe` would put a value into the script unquoted; leave it out",
    ))
}
