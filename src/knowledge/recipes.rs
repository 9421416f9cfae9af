//! The recipes that vLLM itself ships: per model, the arguments that its authors tested.

use super::release::Release;
use super::tables;

/// One official recipe (`recipes/models/*/*.yaml` of the vLLM source).
#[derive(Debug)]
pub struct Recipe {
    /// The Hugging Face id.
    pub id: &'static str,
    /// The first release that the recipe allows, where it names one.
    pub min_release: Option<Release>,
    /// The context length in tokens, where given.
    pub context: Option<u32>,
    /// `dense` or `moe`.
    pub arch: &'static str,
    /// Parameters, as written: `36B`.
    pub params: &'static str,
    /// Arguments for tool calls.
    pub tool_args: &'static [&'static str],
    /// Arguments for reasoning.
    pub reasoning_args: &'static [&'static str],
    /// Arguments that are always given.
    pub base_args: &'static [&'static str],
}

/// All recipes, by id (ignoring case).
pub fn all() -> &'static [Recipe] {
    tables::recipes::RECIPES
}

/// The recipe for exactly this Hugging Face id (any case).
pub fn recipe(id: &str) -> Option<&'static Recipe> {
    let wanted = id.to_ascii_lowercase();
    let found = all().binary_search_by(|recipe| recipe.id.to_ascii_lowercase().cmp(&wanted));
    found.ok().map(|at| &all()[at])
}

impl Recipe {
    /// The parser that the recipe's tool arguments name.
    pub fn tool_parser(&self) -> Option<&'static str> {
        after(self.tool_args, "--tool-call-parser")
    }

    /// The parser that the recipe's reasoning arguments name.
    pub fn reasoning_parser(&self) -> Option<&'static str> {
        let flag = "--reasoning-parser";
        after(self.reasoning_args, flag).or_else(|| after(self.base_args, flag))
    }

    /// The chat template that its tool arguments name.
    pub fn chat_template(&self) -> Option<&'static str> {
        after(self.tool_args, "--chat-template")
    }
}

fn after(args: &[&'static str], flag: &str) -> Option<&'static str> {
    let at = args.iter().position(|&arg| arg == flag)?;
    args.get(at + 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_is_found_by_its_id() {
        assert!(all().len() > 150);
        for entry in all() {
            assert_eq!(recipe(entry.id).unwrap().id, entry.id);
        }
    }

    #[test]
    fn a_recipe_names_its_parser() {
        let recipe = recipe("bytedance-seed/seed-oss-36b-instruct").unwrap();
        assert_eq!(recipe.tool_parser(), Some("seed_oss"));
        assert_eq!(recipe.min_release, Some(Release::new(0, 11, 0)));
    }
}
