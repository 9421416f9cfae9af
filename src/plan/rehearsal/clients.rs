//! Clients: the real one where it is on this machine, the built-in stand-in of a known one where it is not.

use crate::base::{EvalName, Name};
use crate::diag::{Code, Diagnostic, Place, Report};
use crate::facts::{DatasetProblem, DatasetSummary, Facts, PathKind};
use crate::knowledge::adapters::{self, Adapter};
use crate::knowledge::credentials::is_credential;
use crate::plan::evals::{EvalPaths, adapter_of, origin_of, paths_of, requires};
use crate::spec::ClusterSpec;
use crate::spec::model::{Env, Eval, Results, ResultsDir, ScalarText};
use crate::spec::resolve;

use super::external::{NO_KEY, lead};
use super::models::sooner;
use super::services::{SPEED, flat, lacks};
use super::types::{Prop, Replaced, Wish};

/// Questions that are made up where a dataset is not here and nobody says how many it has.
const QUESTIONS: u64 = 100;
/// Restarts of a client where nothing is said.
const ATTEMPTS: u32 = 3;
/// What the built-in clients read and write beside their results.
const CALLS: &str = "TOOL_ORCH_LLM_LOG_PATH";
/// The variable that names the file whose lines a client takes for faults.
pub const CONTROL: &str = "TOOLORCH_CLIENT_CONTROL";

/// What is decided about clients.
#[derive(Debug, Default)]
pub(super) struct Played {
    pub(super) replaced: Vec<Replaced>,
    pub(super) props: Vec<Prop>,
    pub(super) report: Report,
}

/// What every client is given.
#[derive(Debug)]
pub(super) struct Common<'a> {
    /// Variables that lead it to stand-ins.
    pub(super) variables: &'a [(String, String)],
    /// Addresses that it reaches without the proxy.
    pub(super) inside: &'a [String],
    /// Services that it needs beside its own.
    pub(super) required: &'a [Name],
    /// Keys of models that changed, each with the new one.
    pub(super) renamed: &'a [(String, String)],
}

/// Turns every evaluation to this machine.
pub(super) fn play(
    spec: &mut ClusterSpec,
    facts: &Facts,
    wish: &Wish,
    original: &ClusterSpec,
    common: &Common<'_>,
) -> Played {
    let mut done = Played::default();
    let own = original.rehearse.as_ref().and_then(|own| own.env.as_ref());
    for (name, eval) in &mut spec.evals {
        let home = facts.home.get().map(String::as_str);
        let at = paths_of(eval, &facts.yaml_dir, home);
        let adapter = adapter_of(eval).unwrap_or(&adapters::all()[0]);
        let mut env = resolve::eval_env(original, name);
        if let Some(own) = own {
            env = resolve::replaced(env, own);
        }
        let mut needed = requires(original, eval);
        needed.extend_from_slice(common.required);
        eval.requires = Some(needed);
        let lacking = lacking(eval, adapter, &at, facts).or_else(|| {
            let program = eval.command.as_ref().and_then(|words| words.first());
            let program = program
                .map(String::as_str)
                .or(adapter.command.first().copied());
            lacks(program, &env, facts)
        });
        match (lacking, adapter.stand_in) {
            (None, _) => eval.env = Some(flat(&env)),
            (Some(why), Some(stand_in)) => {
                let set = env.set.iter();
                eval.env = Some(Env {
                    set: set
                        .map(|(key, value)| (key.clone(), ScalarText(value.value.clone())))
                        .collect(),
                    ..Env::default()
                });
                substitute(eval, adapter, stand_in, facts);
                done.replaced.push(Replaced {
                    what: name.to_string(),
                    by: "the built-in stand-in of its client".to_owned(),
                    why: Some(why),
                });
            }
            (Some(why), None) => done.report.push(absent(name, &why)),
        }
        let asked = eval.dataset.clone();
        questions(name, eval, adapter, (&at, facts, wish), &mut done);
        settle(name, eval, asked, (&at, wish, common));
    }
    done
}

/// What of a client's files is not here.
fn lacking(eval: &Eval, adapter: &Adapter, at: &EvalPaths, facts: &Facts) -> Option<String> {
    let absent = |path: &str| {
        let kind = facts.paths.get(path).and_then(|kind| kind.get());
        kind == Some(&PathKind::Absent)
    };
    if absent(&at.cwd) {
        return Some(format!("`{}` is not here", at.cwd));
    }
    let reads = adapter.reads.iter().filter(|_| eval.command.is_none());
    let mut files = reads.map(|file| format!("{}/{file}", at.cwd));
    files
        .find(|file| absent(file))
        .map(|file| format!("`{file}` is not here"))
}

fn absent(name: &EvalName, why: &str) -> Diagnostic {
    Diagnostic::error(Code("E0528"), format!("the client of `{name}` cannot be rehearsed: {why}"))
        .at(Place::Key(origin_of(name)), "its client has no built-in stand-in")
        .help("bring the client here, and say where it is: `rehearse: { paths: { SITE: HERE }, env: { venv: … } }`")
}

/// The built-in stand-in takes the client's arguments.
fn substitute(eval: &mut Eval, adapter: &Adapter, stand_in: &[&str], facts: &Facts) {
    let exe = facts.exe.replace('{', "{{").replace('}', "}}");
    let given = |name: &str| match name {
        "concurrency" => eval.concurrency.is_some(),
        "max_rounds" => eval.max_rounds.is_some(),
        _ => false,
    };
    let optional = adapter.optional.iter().filter(|(name, _)| given(name));
    // Behind the program and its script.
    let words = adapter.command[2..].iter();
    let words = stand_in
        .iter()
        .chain(words)
        .chain(optional.flat_map(|(_, words)| words.iter()));
    let command = std::iter::once(exe).chain(words.map(|&word| word.to_owned()));
    eval.command = Some(command.collect());
    let list = |words: &[&str]| {
        words
            .iter()
            .map(|&word| word.to_owned())
            .collect::<Vec<_>>()
    };
    eval.id_fields
        .get_or_insert_with(|| list(adapter.id_fields));
    if eval.marker.is_none() {
        eval.marker = adapter.marker.map(str::to_owned);
    }
    if let Results::Dir(dir) = &mut eval.results {
        dir.pattern
            .get_or_insert_with(|| adapter.pattern.to_owned());
        dir.valid.get_or_insert_with(|| list(adapter.valid));
    }
    eval.adapter = None;
    eval.cwd = None;
}

/// The dataset: as it is, its beginning, or questions that are made up.
fn questions(
    name: &EvalName,
    eval: &mut Eval,
    adapter: &Adapter,
    (at, facts, wish): (&EvalPaths, &Facts, &Wish),
    done: &mut Played,
) {
    let Some(dataset) = &at.dataset else { return };
    let known = facts.datasets.get(name).and_then(|found| found.get());
    let path = format!("{}/questions/{name}.jsonl", wish.folder);
    let not_here = known.is_none_or(is_not_here);
    let lines = if not_here {
        let all = wish.head.or(adapter.questions).unwrap_or(QUESTIONS);
        let text = made_up(all);
        done.props.push(Prop::Text {
            path: path.clone(),
            text,
        });
        done.replaced.push(Replaced {
            what: format!("the questions of {name}"),
            by: format!("{all} that are made up"),
            why: Some(format!("`{dataset}` is not here")),
        });
        Some(path)
    } else {
        let head = wish
            .head
            .filter(|head| known.is_some_and(|all| (all.ids.len() as u64) > *head));
        head.map(|lines| {
            let of = dataset.clone();
            done.props.push(Prop::Head {
                path: path.clone(),
                of,
                lines,
            });
            done.replaced.push(Replaced {
                what: format!("the questions of {name}"),
                by: format!("the first {lines} of them"),
                why: None,
            });
            path
        })
    };
    eval.dataset = Some(lines.unwrap_or_else(|| dataset.clone()));
}

fn is_not_here(summary: &DatasetSummary) -> bool {
    let missing = |problem: &DatasetProblem| {
        matches!(
            problem,
            DatasetProblem::Missing | DatasetProblem::LfsPointer
        )
    };
    summary.problems.iter().any(missing)
}

/// Sums that the simulator can do, as questions of a dataset. The full stop of an answer leaves the verdict to the judge.
fn made_up(count: u64) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for index in 1..=count {
        let (one, other) = (index * 37 % 900 + 12, index * 53 % 800 + 30);
        let answer = one + other;
        let _ = writeln!(
            text,
            "{{\"id\": \"made-up-{index:05}\", \"question\": \"What is {one} + {other}?\", \"answer\": \"{answer}.\"}}"
        );
    }
    text
}

fn raw(results: &Results) -> &str {
    match results {
        Results::Dir(dir) => &dir.dir,
        Results::Jsonl(file) => file,
    }
}

/// Paths, environment and limits of a client of this machine; `asked` is the dataset as the YAML writes it.
fn settle(
    name: &EvalName,
    eval: &mut Eval,
    asked: Option<String>,
    (at, wish, common): (&EvalPaths, &Wish, &Common<'_>),
) {
    eval.node = None;
    eval.launcher = None;
    eval.egress = None;
    eval.on_move = None;
    let real = raw(&eval.results).to_owned();
    eval.results = results(name, &eval.results, at, wish);
    let new = raw(&eval.results);
    let mut moved = common.renamed.to_vec();
    moved.extend([real, at.results.clone()].map(|old| (old, new.to_owned())));
    if let Some(new) = &eval.dataset {
        let written = asked.into_iter().chain(at.dataset.clone());
        moved.extend(written.map(|old| (old, new.clone())));
    }
    // Who wrote a place out means the place, whatever it is called here.
    for word in eval.command.iter_mut().flatten() {
        let same = |old: &str| old.trim_end_matches('/') == word.trim_end_matches('/');
        if let Some((_, new)) = moved.iter().find(|(old, _)| same(old)) {
            word.clone_from(new);
        }
    }
    let mut restart = eval.restart.take().unwrap_or_default();
    restart.backoff = Some(sooner(restart.backoff, wish));
    // The kill in the middle is not the client's.
    restart.attempts = Some(restart.attempts.unwrap_or(ATTEMPTS) + 1);
    eval.restart = Some(restart);
    let env = eval.env.get_or_insert_with(Env::default);
    withhold_keys(env);
    let mut set = |name: &str, value: &str| {
        env.set
            .insert(name.to_owned(), ScalarText(value.to_owned()));
    };
    set(SPEED, &wish.speed.to_string());
    set(CONTROL, &format!("{}/control-{name}", wish.folder));
    // Calls of a rehearsal are not to be taken for real ones.
    set(CALLS, &format!("{}/calls-{name}.jsonl", wish.folder));
    lead(env, common.variables, common.inside);
}

/// A key that is handed on could be used; one that is not cannot.
pub(super) fn withhold_keys(env: &mut Env) {
    let secret: Vec<String> = env
        .pass
        .extract_if(.., |name| is_credential(name))
        .collect();
    for name in secret {
        env.set.insert(name, ScalarText(NO_KEY.to_owned()));
    }
}

/// Results of a rehearsal never lie beside real ones.
fn results(name: &EvalName, real: &Results, at: &EvalPaths, wish: &Wish) -> Results {
    let place = format!("{}/results/{name}", wish.folder);
    match real {
        Results::Dir(dir) => Results::Dir(ResultsDir {
            dir: place,
            ..dir.clone()
        }),
        Results::Jsonl(_) => {
            let file = at.results.rsplit('/').next().unwrap_or("results.jsonl");
            Results::Jsonl(format!("{place}/{file}"))
        }
    }
}
