//! Model families: which parsers, switches and releases a model needs, by its name.

use super::pattern::{self, Pattern};
use super::release::Release;
use super::tables;

/// A family of models that are served alike.
#[derive(Debug)]
pub struct Family {
    /// Its name here: `qwen3-coder`.
    pub name: &'static str,
    /// Which model names belong to it.
    pub pattern: Pattern,
    /// The parser that turns its tool calls into `tool_calls`; none where it has no tool format.
    pub tool_parser: Option<&'static str>,
    /// The parser that splits off its reasoning; none where it does not reason.
    pub reasoning_parser: Option<&'static str>,
    /// Parsers known to fail with it; `*` stands for every other one.
    pub wrong_parsers: &'static [&'static str],
    /// The first release that can serve it, where known.
    pub min_release: Option<Release>,
    /// It thinks whatever it is told.
    pub always_thinks: bool,
    /// Further arguments that the documentation gives for it.
    pub extra_args: &'static [&'static str],
    /// How it thinks, and how to stop it.
    pub thinking: Option<Thinking>,
    /// What else is known.
    pub note: Option<&'static str>,
}

/// How a family's thinking is switched through `chat_template_kwargs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thinking {
    /// The JSON that switches it off: `{"enable_thinking": false}`.
    pub off: &'static str,
    /// The JSON that switches it on.
    pub on: &'static str,
    /// Whether it thinks when nothing is said.
    pub by_default: bool,
}

/// How a parser fits a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The family's own parser.
    Right,
    /// Known to fail.
    Wrong,
    /// Neither documented nor known to fail.
    Unproven,
}

/// It reads the tokens of gpt-oss (Harmony), which no other model writes.
const HARMONY: &str = "openai";

impl Family {
    /// The chat template that its documentation gives for tool calls.
    pub fn chat_template(&self) -> Option<&'static str> {
        let at = self
            .extra_args
            .iter()
            .position(|&arg| arg == "--chat-template")?;
        self.extra_args.get(at + 1).copied()
    }

    /// How the tool parser `name` fits.
    pub fn fit(&self, name: &str) -> Fit {
        if self.tool_parser == Some(name) {
            return Fit::Right;
        }
        let wrong =
            name == HARMONY || (self.wrong_parsers.iter()).any(|&bad| bad == "*" || bad == name);
        if wrong { Fit::Wrong } else { Fit::Unproven }
    }
}

/// All families, first match wins.
pub fn all() -> &'static [Family] {
    tables::families::FAMILIES
}

/// The family that the model argument (a Hugging Face id or a path) names, judged by the last part of it that
/// names any.
pub fn family_of(model: &str) -> Option<&'static Family> {
    pattern::name_parts(model).find_map(|part| {
        all()
            .iter()
            .find(|family| pattern::matches(family.pattern, part))
    })
}

/// The family called `name`.
pub fn named(name: &str) -> Option<&'static Family> {
    all().iter().find(|family| family.name == name)
}

/// The tool parsers that fit a `model_type` of `config.json`, the usual one first; it beats the model's name.
pub fn tool_parsers_of_type(model_type: &str) -> Option<&'static [&'static str]> {
    let table = tables::families::MODEL_TYPES;
    let at = table
        .binary_search_by(|(name, _)| (*name).cmp(model_type))
        .ok()?;
    Some(table[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_and_its_neighbours_get_their_parsers() {
        let cases = [
            (
                "/ckpt/nvidia/Nemotron-Orchestrator-8B/",
                "nemotron-orchestrator",
                Some("hermes"),
            ),
            ("openai/gpt-oss-20b", "gpt-oss", Some("openai")),
            ("Qwen/Qwen2.5-Coder-14B-Instruct", "qwen2.5", Some("hermes")),
            ("Qwen/Qwen3-32B-FP8", "qwen3", Some("hermes")),
            (
                "Qwen/Qwen3-Coder-30B-A3B-Instruct",
                "qwen3-coder",
                Some("qwen3_coder"),
            ),
            (
                "meta-llama/Llama-3.1-8B-Instruct",
                "llama-3.x",
                Some("llama3_json"),
            ),
            (
                "meta-llama/Llama-3.3-70B-Instruct",
                "llama-3.x",
                Some("llama3_json"),
            ),
            (
                "meta-llama/Llama-3.2-1B-Instruct",
                "llama-3.2-small",
                Some("pythonic"),
            ),
            (
                "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
                "nemotron-3",
                Some("qwen3_coder"),
            ),
            (
                "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B",
                "deepseek-r1-distill",
                None,
            ),
            (
                "deepseek-ai/DeepSeek-V3.1",
                "deepseek-v3.1",
                Some("deepseek_v31"),
            ),
            ("zai-org/GLM-4.6", "glm-4.5/4.6", Some("glm45")),
            (
                "mistralai/Mistral-7B-Instruct-v0.3",
                "mistral",
                Some("mistral"),
            ),
        ];
        for (model, family, parser) in cases {
            let found = family_of(model).unwrap_or_else(|| panic!("{model}"));
            assert_eq!((found.name, found.tool_parser), (family, parser), "{model}");
        }
        assert!(family_of("/ckpt/mystery").is_none());
    }

    #[test]
    fn directories_above_the_checkpoint_do_not_decide() {
        assert_eq!(
            family_of("/data/qwen3-runs/gpt-oss-20b/").unwrap().name,
            "gpt-oss"
        );
        let snapshot =
            "/hub/models--openai--gpt-oss-20b/snapshots/6cee5e81ee83917806bbde320786a8fb61efebee";
        assert_eq!(family_of(snapshot).unwrap().name, "gpt-oss");
    }

    #[test]
    fn gpt_oss_refuses_every_other_parser() {
        let family = family_of("openai/gpt-oss-120b").unwrap();
        assert_eq!(family.fit("openai"), Fit::Right);
        assert_eq!(family.fit("hermes"), Fit::Wrong);
        assert_eq!(family.fit("llama3_json"), Fit::Wrong);
        assert_eq!(
            family_of("Qwen/Qwen3-8B").unwrap().fit("openai"),
            Fit::Wrong
        );
        assert_eq!(
            family_of("Qwen/Qwen3-8B").unwrap().fit("xlam"),
            Fit::Unproven
        );
    }

    #[test]
    fn qwen3_thinks_unless_told_otherwise() {
        let thinking = family_of("Qwen/Qwen3-32B-FP8").unwrap().thinking.unwrap();
        assert_eq!(
            thinking,
            Thinking {
                off: r#"{"enable_thinking": false}"#,
                on: r#"{"enable_thinking": true}"#,
                by_default: true
            }
        );
        assert!(
            family_of("Qwen/Qwen3-4B-Instruct-2507")
                .unwrap()
                .thinking
                .is_none()
        );
    }

    #[test]
    fn a_model_type_lists_its_parsers() {
        assert_eq!(tool_parsers_of_type("gpt_oss"), Some(["openai"].as_slice()));
        assert_eq!(tool_parsers_of_type("qwen3_moe").unwrap()[0], "hermes");
        assert!(tool_parsers_of_type("mamba").is_none());
    }
}
