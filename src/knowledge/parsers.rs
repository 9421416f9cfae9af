//! Tool-call and reasoning parsers, and the releases in which they were seen.

use super::release::{Release, Seen, Support};
use super::tables;

/// One entry of vLLM's parser registry.
#[derive(Debug)]
pub struct Parser {
    /// The name given to `--tool-call-parser` or `--reasoning-parser`.
    pub name: &'static str,
    /// The models that vLLM's documentation names for it; globs or words.
    pub models: &'static [&'static str],
    /// The sampled releases in which the registry had it.
    pub seen: Seen,
    /// The chat template that vLLM ships for it; alternatives are separated by ` | `.
    pub chat_template: Option<&'static str>,
    /// What else is known.
    pub note: Option<&'static str>,
}

/// Which registry a name belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// `--tool-call-parser`.
    Tool,
    /// `--reasoning-parser`.
    Reasoning,
}

impl Registry {
    /// Every parser of this registry in any sampled release, by name.
    pub fn all(self) -> &'static [Parser] {
        match self {
            Self::Tool => tables::parsers::TOOL,
            Self::Reasoning => tables::parsers::REASONING,
        }
    }

    /// The parser called `name`.
    pub fn parser(self, name: &str) -> Option<&'static Parser> {
        let all = self.all();
        all.binary_search_by(|parser| parser.name.cmp(name))
            .ok()
            .map(|at| &all[at])
    }

    /// Whether `release` has a parser called `name`.
    ///
    /// A name that no sample had is `No` up to the newest sample (no parser was ever seen to come and go between
    /// two samples), and `Unknown` after it. A plugin (`--tool-parser-plugin`) may register any name.
    pub fn supported(self, name: &str, release: Release) -> Support {
        let samples = Release::parsers_sampled();
        match self.parser(name) {
            Some(parser) => parser.seen.at(release, samples),
            None if samples.last().is_some_and(|&newest| release > newest) => Support::Unknown,
            None => Support::No,
        }
    }

    /// The names that `release` has for certain, sorted.
    pub fn names_at(self, release: Release) -> impl Iterator<Item = &'static str> {
        let has = move |parser: &&Parser| {
            parser.seen.at(release, Release::parsers_sampled()) == Support::Yes
        };
        self.all().iter().filter(has).map(|parser| parser.name)
    }
}

/// A fault of a tool-call parser that right settings do not avoid.
#[derive(Debug)]
pub struct KnownBug {
    /// The parser's name.
    pub parser: &'static str,
    /// The first and the last release of which it was reported. Those between are taken to have it, since no fix is known; of
    /// others nothing is said.
    pub seen: Seen,
    /// What happens.
    pub effect: &'static str,
    /// Where it is reported.
    pub source: &'static str,
}

/// Faults that were reported of several releases, and of which no later fix is known.
pub const KNOWN_BUGS: &[KnownBug] = &[
    KnownBug {
        parser: "openai",
        seen: Seen {
            first: Release::new(0, 10, 1),
            last: Release::new(0, 26, 0),
        },
        effect: "some answers of gpt-oss end in HTTP 500, `HarmonyError: unexpected tokens remaining in message header`",
        source: "vllm-project/vllm#23567, #51977",
    },
    KnownBug {
        parser: "qwen3_coder",
        seen: Seen {
            first: Release::new(0, 14, 0),
            last: Release::new(0, 15, 0),
        },
        effect: "some streamed tool calls break off with `IndexError: list index out of range`",
        source: "vllm-project/vllm-ascend#6561, vllm-project/vllm#34322",
    },
];

/// What is known to go wrong with a tool-call parser of a release.
pub fn known_bugs(parser: &str, release: Release) -> impl Iterator<Item = &'static KnownBug> {
    let is_meant = move |bug: &&KnownBug| {
        bug.parser == parser && (bug.seen.first..=bug.seen.last).contains(&release)
    };
    KNOWN_BUGS.iter().filter(is_meant)
}

/// The tool-call parser called `name`.
pub fn tool_parser(name: &str) -> Option<&'static Parser> {
    Registry::Tool.parser(name)
}

/// The reasoning parser called `name`.
pub fn reasoning_parser(name: &str) -> Option<&'static Parser> {
    Registry::Reasoning.parser(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_openai_parser_came_with_0_10() {
        let at = |minor, patch| Registry::Tool.supported("openai", Release::new(0, minor, patch));
        assert_eq!(at(9, 2), Support::No);
        assert_eq!(at(10, 0), Support::Unknown);
        assert_eq!(at(10, 2), Support::Yes);
        assert_eq!(at(12, 0), Support::Yes);
    }

    #[test]
    fn a_parser_first_seen_in_0_32_is_unknown_in_the_gap() {
        assert_eq!(
            Registry::Tool.supported("qwen3_json", Release::new(0, 30, 0)),
            Support::Unknown
        );
        assert_eq!(
            Registry::Tool.supported("qwen3_json", Release::new(0, 28, 0)),
            Support::No
        );
    }

    #[test]
    fn a_misspelt_parser_is_lacking() {
        assert_eq!(
            Registry::Tool.supported("hermez", Release::new(0, 12, 0)),
            Support::No
        );
        assert_eq!(
            Registry::Tool.supported("hermez", Release::new(0, 99, 0)),
            Support::Unknown
        );
    }

    #[test]
    fn names_of_0_8_5_are_the_ten_that_were_counted() {
        let names: Vec<_> = Registry::Tool.names_at(Release::new(0, 8, 5)).collect();
        assert_eq!(names.len(), 10, "{names:?}");
        assert!(tool_parser("minimax").is_some() && reasoning_parser("qwen3").is_some());
    }
}
