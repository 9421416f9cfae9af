//! Did you mean …?

/// The candidate that a slip of the keyboard or another habit of naming turns into `word`.
pub(crate) fn similar<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let wanted = plain(word);
    candidates
        .filter_map(|candidate| Some((distance(&wanted, &plain(candidate))?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Lower case, and `_` where people write `-` or a space.
fn plain(word: &str) -> String {
    word.to_lowercase().replace(['-', ' '], "_")
}

/// How far two words are apart; none if nobody would take one for the other.
fn distance(wanted: &str, candidate: &str) -> Option<usize> {
    let letters = wanted.chars().count().max(candidate.chars().count());
    let slips = strsim::damerau_levenshtein(wanted, candidate);
    if slips <= letters.div_ceil(3) && slips < letters {
        return Some(slips);
    }
    // `tensor_parallel_size` for `tensor_parallel`, `replica_count` for `replicas` are habits.
    let shorter = wanted.len().min(candidate.len());
    let shares_beginning =
        shorter >= 4 && (wanted.starts_with(candidate) || candidate.starts_with(wanted));
    shares_beginning.then_some(slips)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_habits_are_recognised() {
        let keys = ["tensor_parallel", "port", "replicas", "gpus", "gpu"];
        let near = |word| similar(word, keys.into_iter());
        assert_eq!(near("prot"), Some("port"));
        assert_eq!(near("tensor_parallel_size"), Some("tensor_parallel"));
        assert_eq!(near("tensor-parallel"), Some("tensor_parallel"));
        assert_eq!(near("Replica"), Some("replicas"));
        assert_eq!(near("seed"), None);
        assert_eq!(near("x"), None);
    }
}
