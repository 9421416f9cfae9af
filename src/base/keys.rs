//! Texts that look like the keys of well-known services: they are masked wherever a text is shown.

use std::borrow::Cow;
use std::ops::Range;

/// How keys of well-known services begin, and how long the rest is at least.
const KEYS: &[(&str, usize, &str)] = &[
    ("AKIA", 16, "an AWS access key"),
    ("AIza", 30, "a Google API key"),
    ("ghp_", 30, "a GitHub token"),
    ("github_pat_", 30, "a GitHub token"),
    ("glpat-", 20, "a GitLab token"),
    ("gsk_", 30, "a Groq API key"),
    ("hf_", 30, "a Hugging Face token"),
    ("nvapi-", 30, "an NVIDIA API key"),
    ("sk-", 20, "an OpenAI API key"),
    ("tvly-", 20, "a Tavily API key"),
    ("xoxb-", 20, "a Slack token"),
    ("xoxp-", 20, "a Slack token"),
];

/// Where a text holds what looks like a key, and whose.
pub fn keys_in(text: &str) -> impl Iterator<Item = (Range<usize>, &'static str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut next = 0;
    text.split(move |c| !is_part(c)).filter_map(move |word| {
        let at = next;
        // What splits is one character; of several bytes only where it is none of ASCII.
        next = at
            + word.len()
            + text[at + word.len()..]
                .chars()
                .next()
                .map_or(0, char::len_utf8);
        let what = KEYS.iter().find_map(|(start, length, what)| {
            let rest = word.strip_prefix(start)?;
            (rest.len() >= *length && is_varied(rest)).then_some(*what)
        })?;
        Some((at..at + word.len(), what))
    })
}

/// Digits and letters, or letters of both cases, as in tokens of Hugging Face: no word of a language.
fn is_varied(rest: &str) -> bool {
    let has = |test: fn(&u8) -> bool| rest.as_bytes().iter().any(test);
    let cased = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    has(u8::is_ascii_alphabetic) && (has(u8::is_ascii_digit) || cased && !rest.contains(['-', '_']))
}

/// Where passwords stand in URLs: `scheme://user:PASSWORD@host`; one that a shell fills in, or that was masked, is none.
pub fn passwords_in(text: &str) -> impl Iterator<Item = Range<usize>> {
    let begins = text
        .match_indices("://")
        .map(|(at, slashes)| at + slashes.len());
    begins.filter_map(|at| {
        let is_end = |c: char| c.is_whitespace() || "/?#\"'<>`".contains(c);
        let authority = text[at..].split(is_end).next()?;
        let (user, _) = authority.rsplit_once('@')?;
        let (name, password) = user.split_once(':')?;
        let start = at + name.len() + 1;
        let is_one = !password.starts_with('$') && password.bytes().any(|byte| byte != b'*');
        is_one.then_some(start..start + password.len())
    })
}

/// The text with a `*` for each byte of a key.
pub fn mask_keys(text: &str) -> Cow<'_, str> {
    starred(text, keys_in(text).map(|(range, _)| range))
}

/// The text with a `*` for each byte of a password in a URL.
pub fn mask_passwords(text: &str) -> Cow<'_, str> {
    starred(text, passwords_in(text))
}

fn starred(text: &str, ranges: impl Iterator<Item = Range<usize>>) -> Cow<'_, str> {
    let mut masked = Cow::Borrowed(text);
    for range in ranges {
        let stars = "*".repeat(range.len());
        masked.to_mut().replace_range(range, &stars);
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_by_how_they_begin() {
        let first = |text| keys_in(text).next();
        let key = "sk-proj-AbCd0123456789efghIJKL";
        assert_eq!(first(key), Some((0..key.len(), "an OpenAI API key")));
        assert!(first("export HF_TOKEN=hf_abcdefghijKLMNOPQRSTUVWXYZ0123456").is_some());
        assert!(first("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").is_some());
        for harmless in [
            "sk-",
            "EMPTY",
            "hf_home",
            "task-completed-successfully-today",
            "sk-or-nothing-at-all-my-dear",
        ] {
            assert_eq!(first(harmless), None, "{harmless}");
        }
    }

    #[test]
    fn keys_are_masked_in_place() {
        let text = "ä=sk-AbCd0123456789efghIJKL, b";
        assert_eq!(mask_keys(text), "ä=*************************, b");
        assert_eq!(mask_keys("a: b"), "a: b");
    }

    #[test]
    fn passwords_are_masked_in_urls_alone() {
        let masked = mask_passwords("url: \"http://me:pä@ss@host/v1\", ssh://me@host");
        assert_eq!(masked, "url: \"http://me:******@host/v1\", ssh://me@host");
        for harmless in [
            "http://me:$PASSWORD@host",
            "http://host:80/a@b",
            "a:b@c",
            "http://:@host",
        ] {
            assert_eq!(mask_passwords(harmless), harmless);
        }
    }
}
