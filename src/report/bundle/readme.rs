//! What a bundle says of itself.

use std::fmt::Write as _;

use super::Bundle;
use crate::base::{bytes, sha256};

/// Which run it is of.
#[derive(Debug, Clone)]
pub struct About {
    /// The run's name.
    pub run: String,
    /// The cluster's name.
    pub cluster: String,
    /// How it stands, such as `ended with exit code 0`.
    pub state: String,
    /// Up to when it is told, UTC.
    pub until: Option<String>,
    /// What should be here and is not, and what else a reader has to know.
    pub doubts: Vec<String>,
}

/// `README.md`: what each file is, with its digest, and what was masked.
pub fn readme_text(about: &About, bundle: &Bundle) -> String {
    let About {
        run,
        cluster,
        state,
        until,
        doubts,
    } = about;
    let until = until.as_ref();
    let until = until.map_or_else(String::new, |at| format!(" All here is as it was at {at}."));
    let mut out = format!(
        "# Run `{run}` of cluster `{cluster}`\n\nIt {state}.{until} Questions, answers and logs are not in it.\n\n"
    );
    for doubt in doubts {
        let _ = writeln!(out, "- {doubt}");
    }
    if !doubts.is_empty() {
        out.push('\n');
    }
    out.push_str("| file | what it is | size | SHA-256 |\n|---|---|---:|---|\n");
    for file in &bundle.files {
        let size = bytes(file.text.len() as u64);
        let digest = sha256(file.text.as_bytes());
        let what = meaning(&file.name);
        let _ = writeln!(out, "| `{}` | {what} | {size} | `{digest}` |", file.name);
    }
    if !bundle.masked.is_empty() {
        out.push_str("\nMasked, because it is secret:\n\n");
    }
    for masked in &bundle.masked {
        let what: Vec<&str> = masked.what.iter().map(String::as_str).collect();
        let _ = writeln!(out, "- `{}`: {}", masked.file, what.join(", "));
    }
    out
}

fn meaning(name: &str) -> &'static str {
    match name {
        "cluster.yaml" => "what was asked for",
        "plan.json" => "what followed from it: units, nodes, GPUs, ports, command lines",
        "versions.json" => "releases as servers told them, and what results depend on",
        "report.json" => "the report for programs",
        "report.md" => "the report as text",
        "report.html" => "the report as a page, with charts",
        _ if name.starts_with("ids/") => "each question: right, wrong, error, torn or missing",
        _ => "a change of `cluster.yaml` that the report advises",
    }
}

#[cfg(test)]
mod tests {
    use super::super::BundleFile;
    use super::*;
    use crate::base::Secrets;

    #[test]
    fn it_says_what_is_there_and_what_is_not() {
        let file = |name: &str, text: &str| BundleFile {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let given = vec![
            file("plan.json", "{\"key\": \"0123456789\"}\n"),
            file("report.md", "# Report\n"),
            file("ids/hle.jsonl", ""),
        ];
        let bundle = Bundle::of(given, &Secrets::parse(b"MY_KEY=0123456789\0"));
        let about = About {
            run: "hle-7-ab12".to_owned(),
            cluster: "hle".to_owned(),
            state: "ended with exit code 5".to_owned(),
            until: Some("2026-01-05T14:32:00.000Z".to_owned()),
            doubts: vec!["`cluster.yaml` is missing: it could not be read".to_owned()],
        };
        insta::assert_snapshot!(readme_text(&about, &bundle), @r"
        # Run `hle-7-ab12` of cluster `hle`

        It ended with exit code 5. All here is as it was at 2026-01-05T14:32:00.000Z. Questions, answers and logs are not in it.

        - `cluster.yaml` is missing: it could not be read

        | file | what it is | size | SHA-256 |
        |---|---|---:|---|
        | `plan.json` | what followed from it: units, nodes, GPUs, ports, command lines | 20 B | `7c0abe012e78eb263817448a43b245dcea19411884b1a39f9868c5786c6a8724` |
        | `report.md` | the report as text | 9 B | `497b7725a00101d6cf82489ef502fb0918962b10aaa7279962ab5ec3edc62533` |
        | `ids/hle.jsonl` | each question: right, wrong, error, torn or missing | 0 B | `e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855` |

        Masked, because it is secret:

        - `plan.json`: the value of MY_KEY
        ");
    }
}
