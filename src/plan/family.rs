//! Which family a model belongs to, and the parser that follows from it.

use serde_json::Value;

use crate::base::Name;
use crate::facts::Facts;
use crate::knowledge::families::{self, Family};
use crate::knowledge::recipes;
use crate::spec::model::ModelSpec;

impl Facts {
    /// The model's `config.json`, where it was found on this machine.
    pub(crate) fn config_of(&self, model: &Name) -> Option<&Value> {
        Some(&self.models.get(model)?.get()?.config)
    }
}

/// The `model_type` of a `config.json`.
fn model_type(config: Option<&Value>) -> Option<&str> {
    config?.get("model_type")?.as_str()
}

/// The family of a model: by its name, but a `config.json` that says gpt-oss is believed first.
pub(crate) fn family(model: &ModelSpec, config: Option<&Value>) -> Option<&'static Family> {
    if model_type(config) == Some("gpt_oss") {
        return families::named("gpt-oss");
    }
    families::family_of(&model.model)
}

/// Why a parser is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParserFrom {
    /// `tool_parser` in the YAML.
    Yaml,
    /// `model_type` in `config.json`.
    ModelType,
    /// The family that the model's name shows.
    Family(&'static str),
    /// vLLM's own recipe for exactly this model.
    Recipe,
}

/// A tool-call parser and why it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ToolParser<'a> {
    /// Its name.
    pub name: &'a str,
    /// Why.
    pub from: ParserFrom,
}

/// Whether the client calls tools: `tools: true`, or a parser that was insisted on.
pub(crate) fn wants_tools(model: &ModelSpec) -> bool {
    model.tools.unwrap_or(model.tool_parser.is_some())
}

/// The tool-call parser of a model; none without tools, or where none is known.
pub(crate) fn tool_parser<'a>(
    model: &'a ModelSpec,
    config: Option<&Value>,
) -> Option<ToolParser<'a>> {
    if !wants_tools(model) {
        return None;
    }
    if let Some(name) = &model.tool_parser {
        return Some(ToolParser {
            name,
            from: ParserFrom::Yaml,
        });
    }
    let family = families::family_of(&model.model);
    let of_family = family.and_then(|family| {
        Some(ToolParser {
            name: family.tool_parser?,
            from: ParserFrom::Family(family.name),
        })
    });
    let of_recipe = || {
        Some(ToolParser {
            name: recipes::recipe(&model.model)?.tool_parser()?,
            from: ParserFrom::Recipe,
        })
    };
    let of_family = of_family.or_else(of_recipe);
    let fitting = model_type(config).and_then(families::tool_parsers_of_type);
    match (fitting.filter(|list| !list.is_empty()), of_family) {
        // The name is the finer judge among the parsers that the type allows.
        (Some(list), Some(parser)) if list.contains(&parser.name) => Some(parser),
        (Some(list), _) => Some(ToolParser {
            name: list[0],
            from: ParserFrom::ModelType,
        }),
        (None, parser) => parser,
    }
}
