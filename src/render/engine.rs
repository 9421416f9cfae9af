//! The templates, and Tera around them.
//!
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

/// The templates, parsed.
#[derive(Debug)]
pub struct Renderer {
    tera: Tera,
}

impl Renderer {
    /// Parses the built-in templates and a user's, which replace those of the same name.
    ///
    /// # Errors
    /// A name that no template has, or text that Tera cannot parse.
    pub fn new(overrides: &BTreeMap<String, String>) -> Result<Self, RenderError> {
        if let Some(name) = overrides.keys().find(|name| !is_known(name)) {
            return Err(RenderError::UnknownTemplate {
                name: name.clone(),
                known: BUILT_IN.map(|(name, _)| format!("`{name}`")).join(", "),
            });
        }
        let mut tera = Tera::default();
        tera.autoescape_on([".tera", ".sh", ".sbatch"]);
        tera.set_escape_fn(escape);
        tera.register_filter("directive", directive_filter);
        tera.register_filter("safe", no_safe);
        tera.add_raw_templates(BUILT_IN.map(|(name, text)| {
            let text = overrides.get(name).map_or(text, String::as_str);
            // bash reads a carriage return as part of a word: an editor's line ends must not get that far.
            (
                name,
                text.trim_start_matches('\u{feff}').replace("\r\n", "\n"),
            )
        }))?;
        Ok(Self { tera })
    }

    /// The script of one unit.
    ///
    /// # Errors
    /// A value that no script can hold, or a template that asks for what is not there.
    pub fn unit(&self, unit: &UnitContext) -> Result<String, RenderError> {
        #[derive(Serialize)]
        struct Values<'a> {
            unit: &'a UnitContext,
            credentials: &'a [&'a str],
        }
        unit.check()?;
        let credentials = credentials::PATTERNS;
        self.render(UNIT, &Values { unit, credentials })
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

fn is_known(name: &str) -> bool {
    BUILT_IN.iter().any(|(known, _)| *known == name)
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
