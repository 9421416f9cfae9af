//! The rules of the house, each a function from one file to what breaks it.

use crate::lexer::{Path, blank, paths, test_modules, without_tests};

/// The floors; each uses only those before it.
pub(crate) const FLOORS: [&str; 16] = [
    "base",
    "diag",
    "spec",
    "knowledge",
    "facts",
    "plan",
    "check",
    "render",
    "run",
    "eval",
    "world",
    "supervise",
    "report",
    "view",
    "sim",
    "cli",
];

/// Where effects are at home, as prefixes of paths below `src`.
const IMPURE: [&str; 8] = [
    "world/",
    "sim/",
    "cli/",
    "run/store/",
    "supervise/driver",
    "view/live",
    "view/serve",
    "main.rs",
];

/// What a pure file may not name.
const EFFECTS: [&[&str]; 24] = [
    &["tokio"],
    &["reqwest"],
    &["ssh2"],
    &["axum"],
    &["rustix"],
    &["sysinfo"],
    &["tempfile"],
    &["indicatif"],
    &["std", "fs"],
    &["std", "env"],
    &["std", "process"],
    &["std", "net"],
    &["std", "os"],
    &["std", "thread"],
    &["std", "io", "stdin"],
    &["std", "io", "stdout"],
    &["std", "io", "stderr"],
    &["std", "time", "SystemTime"],
    &["std", "time", "Instant"],
    &["SystemTime", "now"],
    &["Instant", "now"],
    &["Timestamp", "now"],
    &["Zoned", "now"],
    &["TimeZone", "system"],
];

/// Methods of `Path` that ask the file system.
const LOOKS: [&str; 10] = [
    ".exists()",
    ".try_exists()",
    ".is_file()",
    ".is_dir()",
    ".is_symlink()",
    ".metadata()",
    ".symlink_metadata()",
    ".canonicalize()",
    ".read_dir()",
    ".read_link()",
];

/// Tables that a test generates.
const GENERATED: [&str; 1] = ["knowledge/tables/"];

/// The most lines of code in one file, comments, blank lines and tests apart.
const LONGEST: usize = 500;

/// One file of `src`.
pub(crate) struct File<'a> {
    /// Below `src`, with slashes: `view/status.rs`.
    pub(crate) path: &'a str,
    /// Its text.
    pub(crate) source: &'a str,
}

/// What a file breaks, each with its place.
pub(crate) fn broken(file: &File) -> Vec<String> {
    let blanked = blank(file.source);
    let code = without_tests(&blanked);
    let paths = paths(&code);
    let mut found = upward(file, &paths);
    if !IMPURE.iter().any(|home| file.path.starts_with(home)) {
        found.extend(effects(file, &code, &paths));
    }
    if file.path.ends_with("mod.rs") {
        found.extend(logic_in_mod(file, &code));
    }
    if !GENERATED.iter().any(|home| file.path.starts_with(home)) {
        found.extend(too_long(file, &code));
    }
    found.extend(words(file, &blanked));
    found
}

/// Files below `src` that only tests see, as prefixes of paths.
pub(crate) fn test_files(file: &File) -> Vec<String> {
    let directory = match file.path.rsplit_once('/') {
        Some((directory, "mod.rs")) => format!("{directory}/"),
        None if ["lib.rs", "main.rs"].contains(&file.path) => String::new(),
        _ => format!("{}/", file.path.trim_end_matches(".rs")),
    };
    test_modules(&blank(file.source))
        .iter()
        .flat_map(|name| {
            [
                format!("{directory}{name}.rs"),
                format!("{directory}{name}/"),
            ]
        })
        .collect()
}

fn upward(file: &File, paths: &[Path]) -> Vec<String> {
    let own = file.path.split(['/', '.']).next().unwrap_or_default();
    let Some(height) = FLOORS.iter().position(|floor| *floor == own) else {
        return Vec::new();
    };
    let depth = file.path.matches('/').count() + usize::from(!file.path.ends_with("mod.rs"));
    let target = |path: &Path| {
        let supers = path
            .names
            .iter()
            .take_while(|name| *name == "super")
            .count();
        match path.names.first().map(String::as_str) {
            Some("crate" | "toolorch") => path.names.get(1).cloned(),
            _ if supers > 0 && supers >= depth => path.names.get(supers).cloned(),
            _ => None,
        }
    };
    paths
        .iter()
        .filter_map(|path| {
            let name = target(path)?;
            match FLOORS.iter().position(|floor| *floor == name) {
                Some(other) if other <= height => None,
                Some(_) => Some(format!("`{own}` stands below `{name}`, and uses it")),
                None => Some(format!("`{name}` is no floor: name the floor itself")),
            }
            .map(|what| at(file, path.line, &what))
        })
        .collect()
}

fn effects(file: &File, code: &str, paths: &[Path]) -> Vec<String> {
    let named = paths.iter().filter_map(|path| {
        let effect = EFFECTS.iter().find(|effect| {
            effect.len() <= path.names.len() && effect.iter().zip(&path.names).all(|(a, b)| a == b)
                || effect.len() < path.names.len()
                    && effect[0].chars().next().is_some_and(char::is_uppercase)
                    && path.names.ends_with(&effect.map_names())
        })?;
        Some(at(
            file,
            path.line,
            &format!("a pure file names `{}`", effect.join("::")),
        ))
    });
    let looks = code.lines().enumerate().filter_map(|(index, line)| {
        let look = LOOKS.iter().find(|look| line.contains(**look))?;
        Some(at(
            file,
            index + 1,
            &format!("a pure file asks the file system: `{look}`"),
        ))
    });
    named.chain(looks).collect()
}

/// The names of an effect as those of a path.
trait Names {
    fn map_names(&self) -> Vec<String>;
}

impl Names for &[&str] {
    fn map_names(&self) -> Vec<String> {
        self.iter().map(|name| (*name).to_owned()).collect()
    }
}

fn logic_in_mod(file: &File, code: &str) -> Vec<String> {
    let mut line = 1;
    let mut found = Vec::new();
    for statement in code.split_inclusive(';') {
        let lead = statement.len() - statement.trim_start().len();
        let start = line + statement[..lead].matches('\n').count();
        line += statement.matches('\n').count();
        let mut words = statement.trim();
        while let Some(rest) = words.strip_prefix("#[") {
            words = rest.split_once(']').map_or("", |(_, after)| after.trim());
        }
        let words = words.strip_prefix("pub").map_or(words, |rest| {
            let rest = rest.trim_start();
            match rest.strip_prefix('(') {
                Some(scope) => scope.split_once(')').map_or("", |(_, after)| after.trim()),
                None => rest,
            }
        });
        let inline = words.starts_with("mod ") && words.contains('{');
        if inline || !(words.is_empty() || words.starts_with("mod ") || words.starts_with("use ")) {
            found.push(at(
                file,
                start,
                "`mod.rs` holds docs, `mod` and `use` lines only",
            ));
            break;
        }
    }
    found
}

fn too_long(file: &File, code: &str) -> Vec<String> {
    let lines = code.lines().filter(|line| !line.trim().is_empty()).count();
    if lines > LONGEST {
        vec![at(
            file,
            1,
            &format!("{lines} lines of code, more than {LONGEST}: split it"),
        )]
    } else {
        Vec::new()
    }
}

fn words(file: &File, blanked: &str) -> Vec<String> {
    let dense: Vec<String> = blanked
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let mut found = Vec::new();
    for (index, line) in dense.iter().enumerate() {
        let mut say = |what: &str| found.push(at(file, index + 1, what));
        if line.contains("todo!") || line.contains("unimplemented!") {
            say("unfinished code is not landed");
        }
        if line.contains("#[allow") || line.contains("#![allow") {
            say("`#[expect(.., reason)]` instead of `#[allow]`");
        }
    }
    for attribute in attributes(blanked, "#[serde(") {
        for word in ["flatten", "untagged"] {
            if attribute
                .1
                .split(|c: char| !c.is_alphanumeric())
                .any(|w| w == word)
            {
                found.push(at(
                    file,
                    attribute.0,
                    &format!("`serde({word})` ruins error messages"),
                ));
            }
        }
    }
    found
}

/// Attributes that begin so: line, text up to the closing bracket.
fn attributes<'a>(blanked: &'a str, start: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    blanked.match_indices(start).map(|(offset, _)| {
        let rest = &blanked[offset..];
        let line = blanked[..offset].matches('\n').count() + 1;
        (line, rest.split_once(']').map_or(rest, |(text, _)| text))
    })
}

fn at(file: &File, line: usize, what: &str) -> String {
    format!("src/{}:{line}: {what}", file.path)
}
