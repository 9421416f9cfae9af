//! The flags of `vllm serve`, by release.

use std::borrow::Cow;

use super::release::{Release, Seen, Support};
use super::tables;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Nothing: `--headless`.
    Switch,
    /// Nothing, and it has a `--no-` form: `--enforce-eager`, `--no-enforce-eager`.
    Toggle,
    /// A whole number.
    Integer,
    /// A whole number that may be written `32k` or `1M`.
    HumanInteger,
    /// As [`Takes::HumanInteger`], or `auto`.
    HumanIntegerOrAuto,
    /// A number.
    Float,
    /// A text.
    Text,
    /// A JSON object or list, or its dotted form (`--flag.key value`).
    Json,
    /// Something that vLLM converts later: a text, a number or JSON.
    Any,
}

impl Takes {
    /// Whether the flag stands alone on the command line.
    pub fn nothing(self) -> bool {
        matches!(self, Self::Switch | Self::Toggle)
    }
}

/// One flag of `vllm serve`.
#[derive(Debug)]
pub struct Flag {
    /// Its long name with dashes: `--max-model-len`.
    pub name: &'static str,
    /// Short names and synonyms: `-tp`.
    pub aliases: &'static [&'static str],
    /// What it takes.
    pub takes: Takes,
    /// Whether it takes one or more values (argparse's `nargs="+"`).
    pub many: bool,
    /// Its choices in 0.32; empty where any value is taken.
    pub choices: &'static [&'static str],
    /// Its default in 0.32, as Python prints it.
    pub default: Option<&'static str>,
    /// The sampled releases whose command line had it.
    pub seen: Seen,
    /// Whether people commonly set it.
    pub popular: bool,
}

/// A flag that a later release dropped.
#[derive(Debug)]
pub struct Removed {
    /// Its long name.
    pub name: &'static str,
    /// The last sampled release that had it.
    pub last_seen: Release,
    /// The first sampled release that lacked it.
    pub gone_in: Release,
    /// What to write instead.
    pub use_instead: &'static str,
}

/// A flag and whether its negative form was written.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// The flag.
    pub flag: &'static Flag,
    /// True for `--no-x` of a [`Takes::Toggle`].
    pub negated: bool,
}

/// Every flag that a sampled release had, by name.
pub fn all() -> &'static [Flag] {
    tables::flags::FLAGS
}

/// The long name as vLLM compares it: `max_model_len`, `max-model-len` and `--max_model_len` are one flag.
pub fn canonical(name: &str) -> Cow<'_, str> {
    let dotted = name.find('.').unwrap_or(name.len());
    if name.starts_with("--") && !name[..dotted].contains('_') {
        return Cow::Borrowed(name);
    }
    if name.starts_with('-') && !name.starts_with("--") {
        return Cow::Borrowed(name);
    }
    let bare = name.strip_prefix("--").unwrap_or(name);
    let dotted = bare.find('.').unwrap_or(bare.len());
    Cow::Owned(format!(
        "--{}{}",
        bare[..dotted].replace('_', "-"),
        &bare[dotted..]
    ))
}

/// The flag that `name` means: its long name (dashes or underscores, with or without the leading `--`), a short
/// alias, or the `--no-` form of a toggle. Dotted JSON (`--x.y`) means the flag before the dot.
pub fn find(name: &str) -> Option<Found> {
    let canonical = canonical(name);
    let long = canonical.split('.').next().unwrap_or_default();
    if let Some(flag) = exact(long).or_else(|| aliased(long)) {
        return Some(Found {
            flag,
            negated: false,
        });
    }
    let positive = format!("--{}", long.strip_prefix("--no-")?);
    let flag = exact(&positive).filter(|flag| flag.takes == Takes::Toggle)?;
    Some(Found {
        flag,
        negated: true,
    })
}

/// The flag that `name` means, whichever form was written; see [`find`].
pub fn flag(name: &str) -> Option<&'static Flag> {
    find(name).map(|found| found.flag)
}

fn exact(long: &str) -> Option<&'static Flag> {
    all()
        .binary_search_by(|flag| flag.name.cmp(long))
        .ok()
        .map(|at| &all()[at])
}

fn aliased(alias: &str) -> Option<&'static Flag> {
    let table = tables::flags::ALIASES;
    let at = table
        .binary_search_by(|(name, _)| (*name).cmp(alias))
        .ok()?;
    exact(table[at].1)
}

impl Flag {
    /// Whether `release` has this flag.
    pub fn supported(&self, release: Release) -> Support {
        self.seen.at(release, Release::flags_sampled())
    }
}

/// Whether `release` has the flag called `name`; a name that no sample had is `No` up to the newest sample and
/// `Unknown` after it.
pub fn supported(name: &str, release: Release) -> Support {
    match flag(name) {
        Some(flag) => flag.supported(release),
        None if Release::flags_sampled()
            .last()
            .is_some_and(|&newest| release > newest) =>
        {
            Support::Unknown
        }
        None => Support::No,
    }
}

/// What became of a flag that was dropped; it may still be right for an old release.
pub fn removed(name: &str) -> Option<&'static Removed> {
    let long = flag(name)?.name;
    let table = tables::flags::REMOVED;
    table
        .binary_search_by(|removed| removed.name.cmp(long))
        .ok()
        .map(|at| &table[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    const V12: Release = Release::new(0, 12, 0);

    #[test]
    fn every_spelling_means_the_same_flag() {
        for name in [
            "--max-model-len",
            "--max_model_len",
            "max_model_len",
            "max-model-len",
        ] {
            assert_eq!(flag(name).unwrap().name, "--max-model-len", "{name}");
        }
        assert_eq!(flag("-tp").unwrap().name, "--tensor-parallel-size");
        assert_eq!(
            flag("--structured_outputs_config.backend").unwrap().name,
            "--structured-outputs-config"
        );
        assert!(flag("--max-model-length").is_none());
    }

    #[test]
    fn toggles_have_a_negative_form_and_values_have_not() {
        let found = find("--no-enable-prefix-caching").unwrap();
        assert!(found.negated && found.flag.name == "--enable-prefix-caching");
        assert!(find("--no-port").is_none());
    }

    #[test]
    fn a_removed_flag_names_its_replacement() {
        let removed = removed("--guided_decoding_backend").unwrap();
        assert_eq!(
            (removed.last_seen, removed.gone_in),
            (Release::new(0, 10, 2), Release::new(0, 11, 2))
        );
        assert_eq!(supported("--guided-decoding-backend", V12), Support::No);
        assert_eq!(supported("--disable-log-requests", V12), Support::Yes);
        assert_eq!(
            supported("--disable-log-requests", Release::new(0, 18, 0)),
            Support::Unknown
        );
    }

    #[test]
    fn the_server_side_thinking_switch_is_newer_than_0_12() {
        assert_eq!(
            supported("--default-chat-template-kwargs", V12),
            Support::No
        );
        assert_eq!(
            supported("--default-chat-template-kwargs", Release::new(0, 14, 1)),
            Support::Yes
        );
        assert_eq!(supported("--chat-template-kwargs", V12), Support::No);
    }
}
