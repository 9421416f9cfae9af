//! Paths of the YAML as text: from which folder they count, and what `~` means.

use super::UnitEnv;

/// Turns `$HOME/x` and `${HOME}/x` into `~/x`, the one form that is resolved where a unit runs.
pub(crate) fn with_tilde(path: &str) -> String {
    for home in ["${HOME}", "$HOME"] {
        if let Some(rest) = path.strip_prefix(home)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return format!("~{rest}");
        }
    }
    path.to_owned()
}

/// Whether a path begins at the home directory.
pub(crate) fn from_home(path: &str) -> bool {
    path == "~" || path.starts_with("~/")
}

/// The absolute path of `path` counted from `base`; `~/…` stays for the place where the unit runs.
pub(crate) fn anchored(path: &str, base: &str) -> String {
    let path = with_tilde(path);
    if from_home(&path) || path.starts_with('/') {
        tidy(&path)
    } else {
        tidy(&format!("{base}/{path}"))
    }
}

/// As [`anchored`], with this machine's home directory for `~` where it is known.
pub(crate) fn absolute(path: &str, base: &str, home: Option<&str>) -> String {
    expanded(&anchored(path, base), home)
}

/// `path` with this machine's home directory for a leading `~`, where it is known.
pub(crate) fn expanded(path: &str, home: Option<&str>) -> String {
    let path = with_tilde(path);
    match (home, path.strip_prefix('~')) {
        (Some(home), Some(rest)) if rest.is_empty() || rest.starts_with('/') => {
            format!("{}{rest}", home.trim_end_matches('/'))
        }
        _ => path,
    }
}

/// A word of a command, with a leading `~` (or `${HOME}`) filled in.
pub(crate) fn expanded_word(word: &str, home: Option<&str>) -> String {
    if word.starts_with(['~', '$']) {
        expanded(word, home)
    } else {
        word.to_owned()
    }
}

/// Fills a leading `~` (or `${HOME}`) of words and variables in, for a unit that runs on this machine.
///
/// The unit script gives both to the program byte for byte, so nobody later would.
pub(crate) fn fill_home(argv: &mut [String], env: &mut UnitEnv, home: Option<&str>) {
    for text in argv.iter_mut().chain(env.set.values_mut()) {
        *text = expanded_word(text, home);
    }
}

/// Removes `.`, `..` and doubled slashes from a path that begins with `/` or `~`.
fn tidy(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "~") => {
                parts.pop();
            }
            // `..` above the root is the root; above the home only its host can say.
            ".." if parts.is_empty() => {}
            _ => parts.push(part),
        }
    }
    let text = parts.join("/");
    if text.starts_with('~') {
        text
    } else {
        format!("/{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_at_home() {
        let words = ["~/x", "${HOME}", "~user", "a~/x", "$HOMELAND"];
        let mut argv: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        fill_home(&mut argv, &mut UnitEnv::default(), Some("/home/user"));
        assert_eq!(
            argv,
            ["/home/user/x", "/home/user", "~user", "a~/x", "$HOMELAND"]
        );
    }

    #[test]
    fn paths_count_from_their_folder() {
        let home = Some("/home/user");
        for (path, base, expected) in [
            ("hle.jsonl", "/yaml", "/yaml/hle.jsonl"),
            ("hle.jsonl", "~/eval", "/home/user/eval/hle.jsonl"),
            ("../x/./y", "/a/b", "/a/x/y"),
            ("~/x", "/a", "/home/user/x"),
            ("${HOME}/x", "/a", "/home/user/x"),
            ("$HOMELAND/x", "/a", "/a/$HOMELAND/x"),
            ("/abs//x/", "/a", "/abs/x"),
            ("../../..", "/a", "/"),
        ] {
            assert_eq!(absolute(path, base, home), expected, "{path}");
        }
        assert_eq!(absolute("~/x", "/a", None), "~/x");
        assert_eq!(anchored("$HOME", "/a"), "~");
    }
}
