//! Small regexes taken apart: into the fragments of a name pattern, and into the texts that every match must hold.

/// The alternatives of a name pattern as ordered fragments. Knows literals, `\.`, `[ab]`, `[0-9]`, `?`, `(a|b)`,
/// `|` and `.*`; panics on anything else, so that a data edit can't be read wrongly.
pub(crate) fn fragments(pattern: &str) -> Vec<Vec<String>> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    let whole = alternatives(&chars, &mut at);
    assert_eq!(at, chars.len(), "unbalanced group in `{pattern}`");
    whole
        .iter()
        .map(|text| {
            text.split('\0')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect()
        })
        .collect()
}

fn alternatives(chars: &[char], at: &mut usize) -> Vec<String> {
    let mut done = Vec::new();
    let mut current = vec![String::new()];
    while let Some(&c) = chars.get(*at) {
        if c == ')' {
            break;
        }
        *at += 1;
        let mut item = match c {
            '|' => {
                done.append(&mut std::mem::replace(&mut current, vec![String::new()]));
                continue;
            }
            '(' => {
                let inner = alternatives(chars, at);
                *at += 1;
                inner
            }
            '[' => class(chars, at),
            '\\' => {
                *at += 1;
                vec![chars[*at - 1].to_string()]
            }
            '.' => {
                assert_eq!(
                    chars.get(*at),
                    Some(&'*'),
                    "a lone `.` has no fragment form"
                );
                *at += 1;
                vec!["\0".to_owned()]
            }
            plain => {
                assert!(
                    plain.is_alphanumeric() || "-_ ".contains(plain),
                    "`{plain}` is not known here"
                );
                vec![plain.to_string()]
            }
        };
        if chars.get(*at) == Some(&'?') {
            *at += 1;
            item.push(String::new());
        }
        current = current
            .iter()
            .flat_map(|head| item.iter().map(move |tail| format!("{head}{tail}")))
            .collect();
    }
    done.append(&mut current);
    done
}

fn class(chars: &[char], at: &mut usize) -> Vec<String> {
    let mut found = Vec::new();
    while chars[*at] != ']' {
        let first = chars[*at];
        *at += 1;
        if chars[*at] == '-' && chars[*at + 1] != ']' {
            found.extend((first..=chars[*at + 1]).map(String::from));
            *at += 2;
        } else {
            found.push(first.to_string());
        }
    }
    *at += 1;
    found
}

/// Texts of which every line matched by `pattern` holds at least one: the longest literal of the sequence, or the
/// literals of a mandatory group's branches where that is more telling.
pub(crate) fn needles(pattern: &str) -> Vec<String> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    branches(&chars, &mut at)
}

fn score(texts: &[String]) -> usize {
    texts.iter().map(String::len).min().unwrap_or(0)
}

fn branches(chars: &[char], at: &mut usize) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        all.append(&mut branch(chars, at));
        if chars.get(*at) != Some(&'|') {
            return all;
        }
        *at += 1;
    }
}

/// The best needles of one sequence, up to `|`, `)` or the end.
fn branch(chars: &[char], at: &mut usize) -> Vec<String> {
    let mut best = vec![String::new()];
    let mut run = String::new();
    let mut keep = |candidate: Vec<String>| {
        if score(&candidate) > score(&best) {
            best = candidate;
        }
    };
    while let Some(&c) = chars.get(*at).filter(|c| !"|)".contains(**c)) {
        *at += 1;
        let mut group = None;
        let literal = match c {
            '(' => {
                if chars[*at] == '?' {
                    *at += 2;
                }
                group = Some(branches(chars, at));
                *at += 1;
                None
            }
            '[' => {
                while chars[*at] != ']' {
                    *at += 1;
                }
                *at += 1;
                None
            }
            '.' => None,
            '\\' => {
                *at += 1;
                Some(chars[*at - 1]).filter(|escaped| !escaped.is_alphanumeric())
            }
            plain => Some(plain),
        };
        let quantifier = chars.get(*at).copied().filter(|c| "?*+".contains(*c));
        if quantifier.is_some() {
            *at += 1;
        }
        let optional = matches!(quantifier, Some('?' | '*'));
        match literal {
            Some(literal) if !optional => run.push(literal),
            _ => keep(vec![std::mem::take(&mut run)]),
        }
        if let Some(group) = group.filter(|_| !optional) {
            keep(group);
        }
        if quantifier == Some('+') {
            keep(vec![std::mem::take(&mut run)]);
        }
    }
    keep(vec![run]);
    best
}
