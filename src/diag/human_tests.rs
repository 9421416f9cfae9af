//! Rendered findings, whole.

use super::*;
use crate::base::Span;
use crate::diag::{Applicability, Code, Diagnostic, Fix, NoSources, Place};
use insta::assert_snapshot;

struct Text(&'static str);

impl Sources for Text {
    fn name(&self) -> &'static str {
        "cluster.yaml"
    }

    fn find(&self, place: &Place) -> Option<Found<'_>> {
        let Place::Span(span) = place else {
            return None;
        };
        Some(Found {
            name: "cluster.yaml",
            text: self.0,
            span: *span,
        })
    }
}

fn at(range: std::ops::Range<usize>) -> Place {
    Place::Span(Span::new(range))
}

fn findings() -> Vec<Diagnostic> {
    vec![
        Diagnostic::error(Code("E0120"), "unknown key `prot` in a service")
            .at(at(11..15), "not a key of a service")
            .see(at(0..1), "in this one")
            .fix(Fix {
                title: "did you mean `port`?".to_owned(),
                place: at(11..15),
                replacement: "port".to_owned(),
                applicability: Applicability::Guess,
            })
            .help("`toolorch schema` lists all keys"),
        Diagnostic::warning(Code("E0128"), "50% of `a,b:c` has no place"),
    ]
}

const YAML: Text = Text("a: 1\nb:\n   prot: 2\n");

#[test]
fn people_see_place_reason_help_and_patch() {
    assert_snapshot!(human(&findings(), &YAML, false), @r"
    error[E0120]: unknown key `prot` in a service
     --> cluster.yaml:3:4
      |
    1 | a: 1
      | - in this one
    2 | b:
    3 |    prot: 2
      |    ^^^^ not a key of a service
      |
      = help: `toolorch schema` lists all keys
    help: did you mean `port`?
      |
    3 -    prot: 2
    3 +    port: 2
      |

    warning[E0128]: 50% of `a,b:c` has no place

    error: 1 error, 1 warning in cluster.yaml
    ");
}

#[test]
fn without_a_text_the_words_remain() {
    assert_snapshot!(human(&findings()[1..], &NoSources("x.yaml"), false), @r"
    warning[E0128]: 50% of `a,b:c` has no place

    warning: 1 warning in x.yaml
    ");
}

#[test]
fn colours_come_only_when_asked_for() {
    assert!(!human(&findings(), &YAML, false).contains('\u{1b}'));
    assert!(human(&findings(), &YAML, true).contains('\u{1b}'));
}

#[test]
fn nothing_found_is_no_text() {
    assert_eq!(human(&[], &YAML, true), "");
}

#[test]
fn programs_see_json_lines() {
    assert_snapshot!(crate::diag::json_lines(&findings(), &YAML), @r#"
    {"format":"toolorch.diagnostic","version":1,"code":"E0120","severity":"error","title":"unknown key `prot` in a service","labels":[{"place":{"file":"cluster.yaml","line":3,"column":4,"end_line":3,"end_column":8},"text":"not a key of a service","primary":true},{"place":{"file":"cluster.yaml","line":1,"column":1,"end_line":1,"end_column":2},"text":"in this one","primary":false}],"help":["`toolorch schema` lists all keys"],"fixes":[{"title":"did you mean `port`?","place":{"file":"cluster.yaml","line":3,"column":4,"end_line":3,"end_column":8},"replacement":"port","applicability":"guess"}]}
    {"format":"toolorch.diagnostic","version":1,"code":"E0128","severity":"warning","title":"50% of `a,b:c` has no place","labels":[],"help":[],"fixes":[]}
    "#);
}

#[test]
fn github_sees_workflow_commands() {
    assert_snapshot!(crate::diag::github(&findings(), &YAML), @r"
    ::error file=cluster.yaml,line=3,endLine=3,col=4,endColumn=8,title=E0120::unknown key `prot` in a service%0Anot a key of a service%0A`toolorch schema` lists all keys%0Adid you mean `port`?
    ::warning title=E0128::50%25 of `a,b:c` has no place
    ");
}

#[test]
fn scanners_see_sarif() {
    let log = crate::diag::sarif(&findings(), &YAML);
    let log: serde_json::Value = serde_json::from_str(&log).unwrap();
    let run = &log["runs"][0];
    let parts = run["results"].as_array().into_iter().flatten();
    let parts = parts.chain([
        &log["version"],
        &run["columnKind"],
        &run["tool"]["driver"]["rules"][1],
    ]);
    let lines: Vec<String> = parts.map(ToString::to_string).collect();
    assert_snapshot!(lines.join("\n"), @r#"
    {"ruleId":"E0120","level":"error","message":{"text":"unknown key `prot` in a service\n`toolorch schema` lists all keys"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"cluster.yaml"},"region":{"startLine":3,"startColumn":4,"endLine":3,"endColumn":8}},"message":{"text":"not a key of a service"}}],"relatedLocations":[{"physicalLocation":{"artifactLocation":{"uri":"cluster.yaml"},"region":{"startLine":1,"startColumn":1,"endLine":1,"endColumn":2}},"message":{"text":"in this one"}}],"fixes":[{"description":{"text":"did you mean `port`?"},"artifactChanges":[{"artifactLocation":{"uri":"cluster.yaml"},"replacements":[{"deletedRegion":{"startLine":3,"startColumn":4,"endLine":3,"endColumn":8},"insertedContent":{"text":"port"}}]}]}]}
    {"ruleId":"E0128","level":"warning","message":{"text":"50% of `a,b:c` has no place"},"locations":[],"relatedLocations":[]}
    "2.1.0"
    "unicodeCodePoints"
    {"id":"E0128","shortDescription":{"text":"a key has no value"},"fullDescription":{"text":"`key:` with nothing after it, `null` and `~` give no value. Give one, or remove the key to get its default."}}
    "#);
}
