//! Reads Rust only as far as the rules need: comments and literals blanked, paths spelled out.

/// A path as written in code, and the line (from 1) on which it starts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// Its names: `["std", "fs", "read"]`.
    pub(crate) names: Vec<String>,
    /// The line.
    pub(crate) line: usize,
}

/// The source with comments, strings and characters turned to blanks; lines keep their places.
pub(crate) fn blank(source: &str) -> String {
    let text: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < text.len() {
        let end = literal_end(&text, at);
        if end == at {
            out.push(text[at]);
            at += 1;
        } else {
            out.extend(
                text[at..end]
                    .iter()
                    .map(|c| if *c == '\n' { '\n' } else { ' ' }),
            );
            at = end;
        }
    }
    out
}

/// One past the comment or literal that starts at `at`; `at` itself if none does.
fn literal_end(text: &[char], at: usize) -> usize {
    let next = |offset: usize| text.get(at + offset).copied().unwrap_or('\0');
    let after_name = at > 0 && is_name(text[at - 1]);
    match (text[at], next(1)) {
        ('/', '/') => find(text, at, |c| c == '\n'),
        ('/', '*') => block_comment_end(text, at),
        ('"', _) => string_end(text, at + 1),
        ('r', '"' | '#') if !after_name => raw_end(text, at + 1),
        ('b', '"') if !after_name => string_end(text, at + 2),
        ('b', 'r') if !after_name => raw_end(text, at + 2).max(at),
        ('\'', '\\') => find(text, at + 3, |c| c == '\'') + 1,
        ('\'', _) if next(2) == '\'' => at + 3,
        _ => at,
    }
}

fn find(text: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    (from..text.len())
        .find(|&i| stop(text[i]))
        .unwrap_or(text.len())
}

fn block_comment_end(text: &[char], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn string_end(text: &[char], from: usize) -> usize {
    let mut at = from;
    while at < text.len() && text[at] != '"' {
        at += if text[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// The end of `#"…"#` whose first `#` or quote is at `from`; the `r` alone if it is a raw name.
fn raw_end(text: &[char], from: usize) -> usize {
    let quote = find(text, from, |c| c != '#');
    let hashes = quote - from;
    if text.get(quote) != Some(&'"') {
        return from - 1;
    }
    (quote + 1..text.len())
        .find(|&i| {
            text[i] == '"'
                && text
                    .get(i + 1..=i + hashes)
                    .is_some_and(|tail| tail.iter().all(|c| *c == '#'))
        })
        .map_or(text.len(), |i| i + 1 + hashes)
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Blanked source without its `#[cfg(test)]` items; lines keep their places.
pub(crate) fn without_tests(blanked: &str) -> String {
    let mut out = blanked.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let end = item_end(&out, start + "#[cfg(test)]".len());
        let hole: String = out[start..end]
            .chars()
            .map(|c| if c == '\n' { '\n' } else { ' ' })
            .collect();
        out.replace_range(start..end, &hole);
    }
    out
}

/// One past the item that starts at `from`: its closing brace, or its semicolon.
fn item_end(text: &str, from: usize) -> usize {
    let mut depth = 0_usize;
    for (offset, c) in text[from..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && c == '}' {
                    return from + offset + 1;
                }
            }
            ';' if depth == 0 => return from + offset + 1,
            _ => {}
        }
    }
    text.len()
}

/// Modules that are declared for tests only: the names after `#[cfg(test)] mod`.
pub(crate) fn test_modules(blanked: &str) -> Vec<String> {
    blanked
        .split("#[cfg(test)]")
        .skip(1)
        .filter_map(|rest| {
            let (declaration, _) = rest.split_once([';', '{'])?;
            let name = declaration.trim().rsplit_once("mod ")?.1.trim();
            rest[declaration.len()..]
                .starts_with(';')
                .then(|| name.to_owned())
        })
        .collect()
}

/// Every path of the blanked source; groups of `use` are spelled out.
pub(crate) fn paths(blanked: &str) -> Vec<Path> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(offset) = blanked[at..].find(is_name) {
        let start = at + offset;
        let mut tree = Tree {
            text: blanked,
            at: start,
        };
        let line = blanked[..start].matches('\n').count() + 1;
        for names in tree.read(&[]) {
            if names.len() > 1 {
                found.push(Path { names, line });
            }
        }
        at = tree.at.max(start + 1);
        while !blanked.is_char_boundary(at) {
            at += 1;
        }
    }
    found
}

/// A cursor over `a::b::{c, d::e}`.
struct Tree<'a> {
    text: &'a str,
    at: usize,
}

impl Tree<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn read(&mut self, prefix: &[String]) -> Vec<Vec<String>> {
        let mut path = prefix.to_vec();
        loop {
            let length = self
                .rest()
                .find(|c| !is_name(c) && c != '*')
                .unwrap_or(self.rest().len());
            if length == 0 {
                return vec![path];
            }
            path.push(self.rest()[..length].to_owned());
            self.at += length;
            let before = self.at;
            self.blanks();
            if !self.rest().starts_with("::") {
                self.at = before;
                return vec![path];
            }
            self.at += 2;
            self.blanks();
            if self.rest().starts_with('{') {
                self.at += 1;
                return self.group(&path);
            }
        }
    }

    fn group(&mut self, prefix: &[String]) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        while !self.rest().is_empty() {
            self.blanks();
            if self.rest().starts_with('}') {
                self.at += 1;
                break;
            }
            let before = self.at;
            found.extend(self.read(prefix));
            // `as name` and commas.
            let end = self.rest().find([',', '}']).unwrap_or(self.rest().len());
            self.at += end;
            if self.rest().starts_with(',') {
                self.at += 1;
            }
            if self.at == before {
                break;
            }
        }
        found
    }
}
