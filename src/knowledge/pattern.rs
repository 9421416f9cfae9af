//! Name patterns without a regex engine: a pattern is a list of alternatives, an alternative a list of fragments
//! that must occur in that order. Costs nothing at start, and 60 of them match in about a microsecond each.

/// Alternatives of ordered, lower-case fragments; written by the generator from a small regex.
pub type Pattern = &'static [&'static [&'static str]];

/// Whether `name` (any case) holds the fragments of one alternative, in order.
pub fn matches(pattern: Pattern, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    pattern.iter().any(|fragments| in_order(fragments, &name))
}

fn in_order(fragments: &[&str], mut rest: &str) -> bool {
    for fragment in fragments {
        let Some(at) = rest.find(fragment) else {
            return false;
        };
        rest = &rest[at + fragment.len()..];
    }
    true
}

/// The parts of a model argument that may name the model, most telling first: the components of a path or a
/// Hugging Face id from the end, then the whole.
///
/// A checkpoint below `/data/qwen3/` is not a Qwen3; a snapshot directory is named by its grandparent.
pub fn name_parts(model: &str) -> impl Iterator<Item = &str> {
    model
        .rsplit('/')
        .filter(|part| !part.is_empty() && *part != "." && *part != "..")
        .chain(std::iter::once(model))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_must_come_in_order() {
        let pattern: Pattern = &[&["qwen3", "instruct-2507"], &["qwq"]];
        assert!(matches(pattern, "Qwen/Qwen3-4B-Instruct-2507"));
        assert!(matches(pattern, "QwQ-32B"));
        assert!(!matches(pattern, "instruct-2507-qwen3"));
    }

    #[test]
    fn a_path_is_read_from_its_end() {
        let parts: Vec<&str> = name_parts("/hub/models--Qwen--Qwen3-8B/snapshots/abc/").collect();
        assert_eq!(parts[..3], ["abc", "snapshots", "models--Qwen--Qwen3-8B"]);
    }
}
