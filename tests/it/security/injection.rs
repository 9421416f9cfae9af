//! Text that hurts a shell, a job file or a terminal, in every string of the YAML.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value};
use toolorch::base::{FieldPath, Segment, is_hidden};
use toolorch::check::check_all;
use toolorch::diag::{self, Diagnostic, Severity, human};
use toolorch::facts::Facts;
use toolorch::plan::table;
use toolorch::render::context::UnitContext;
use toolorch::render::{FileSet, Renderer, render_plan};
use toolorch::spec::{Source, parse};

/// Each would leave a file `PWNED`, become an option, or move what is shown, were it read as anything but text.
pub(super) const CORPUS: &[&str] = &[
    "'; touch PWNED; '",
    "$(touch PWNED)",
    "`touch PWNED`",
    "\"; touch PWNED; #",
    "a\n#SBATCH --wrap=touch\u{a0}PWNED",
    "\r\ntouch PWNED\r\n",
    "-oProxyCommand=touch PWNED",
    "--port",
    "%n",
    "\u{2028}touch PWNED\u{2029}\u{202e}",
    "$'\\x00'\\0touch PWNED",
    "\u{1b}]0;touch PWNED\u{7}\u{9b}2J",
    "a\0touch PWNED",
];

/// Where a string stands: keys and indices from the top.
type Place = Vec<String>;

fn leaves(value: &Value, at: &Place, found: &mut Vec<(Place, bool)>) {
    let below = |step: String| [at.clone(), vec![step]].concat();
    match value {
        Value::String(_) => found.push((at.clone(), false)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &below(index.to_string()), found);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                found.push((below(key.clone()), true));
                leaves(item, &below(key.clone()), found);
            }
        }
        _ => {}
    }
}

/// The tree with another text at a place: the value there, or the key that leads to it.
fn with(value: &Value, at: &[String], is_key: bool, text: &str) -> Value {
    let [step, rest @ ..] = at else {
        return text.into();
    };
    match value {
        Value::Array(items) => {
            let mut items = items.clone();
            let index: usize = step.parse().unwrap();
            items[index] = with(&items[index], rest, is_key, text);
            items.into()
        }
        Value::Object(map) => {
            let changed = map.iter().map(|(key, item)| match key == step {
                true if rest.is_empty() && is_key => (text.to_owned(), item.clone()),
                true => (key.clone(), with(item, rest, is_key, text)),
                false => (key.clone(), item.clone()),
            });
            changed.collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// The tree as YAML in which what YAML forbids is written as an escape, so that it gets into the values.
pub(super) fn written(tree: &Value) -> String {
    let json = serde_json::to_string_pretty(tree).unwrap();
    let escaped = json.chars().map(|c| match c {
        '\n' => "\n".to_owned(),
        c if is_hidden(c) => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    });
    escaped.collect()
}

/// A cluster as far as it goes: the places that refuse it, or its files with what each unit's script must say.
enum Outcome {
    Refused(Vec<Place>),
    Rendered(FileSet, Vec<UnitContext>),
}

struct Lab {
    facts: Facts,
    renderer: Renderer,
}

impl Lab {
    /// Parses, checks and renders; what is said must be such that a terminal can bear it.
    fn try_out(&self, tree: &Value) -> Outcome {
        let parsed = parse(Source::new("a.yaml", written(tree).as_bytes()), &[]);
        let mut report = parsed.diagnostics;
        let plan = parsed.spec.map(|spec| {
            let (plan, found) = check_all(&spec, &self.facts);
            report.extend(found);
            plan
        });
        let said =
            human(&report, &parsed.document, false) + &plan.as_ref().map(table).unwrap_or_default();
        let wild: BTreeSet<char> = said
            .chars()
            .filter(|c| is_hidden(*c) && *c != '\n')
            .collect();
        assert!(wild.is_empty(), "{wild:?} in {said:?}");
        let errors = report
            .iter()
            .filter(|finding| finding.severity == Severity::Error);
        let refused: Vec<Place> = errors.flat_map(places_of).collect();
        if !refused.is_empty() {
            return Outcome::Refused(refused);
        }
        let plan = plan.unwrap();
        let files = match render_plan(&plan, &self.renderer) {
            Ok(files) => files,
            // What SLURM reads has no quoting that holds, so a quote is refused there; the words name it.
            Err(error) => {
                assert!(
                    error.to_string().contains("#SBATCH"),
                    "passed `check`, but: {error}"
                );
                let place = |steps: &[&str]| steps.iter().map(ToString::to_string).collect();
                return Outcome::Refused(vec![
                    place(&["slurm"]),
                    place(&["pools", "h100", "slurm"]),
                ]);
            }
        };
        let units = plan.units.iter().map(|unit| UnitContext::of(&plan, unit));
        Outcome::Rendered(files, units.collect())
    }
}

/// Where a finding stands in the YAML.
fn places_of(finding: &Diagnostic) -> Vec<Place> {
    let labels = finding.labels.iter().map(|label| match &label.place {
        diag::Place::Key(path) | diag::Place::Value(path) => steps(path),
        diag::Place::Span(_) => Place::new(),
    });
    labels.collect()
}

fn steps(path: &FieldPath) -> Place {
    let step = |segment: &Segment| match segment {
        Segment::Key(key) => key.clone(),
        Segment::Index(index) => index.to_string(),
    };
    path.segments().iter().map(step).collect()
}

/// What bash makes of the values of many unit scripts, one process for all: an injected command would run in `folder`.
const READ_VALUES: &str = r#"
shopt -s nullglob
while IFS= read -r -d '' file; do
  IFS= read -r -d '' text <"$file"
  values=U_UNIT=${text#*$'\n'U_UNIT=}; values=${values%$'\n''main "$@"; exit'*}
  U_ARGV=() U_SET=() U_PASS=() U_UNSET=() U_MODULES=() U_SETUP=() U_CONDA= U_VENV= U_UMASK= U_CWD= U_HOST= U_CACHE_DIR= U_RESULTS=
  eval "$values" || exit 3
  for list in U_ARGV U_SET U_PASS U_UNSET U_MODULES U_SETUP; do
    declare -n words=$list; printf '%s\0' "${#words[@]}" "${words[@]}"
  done
  printf '%s\0' "$U_CONDA" "$U_VENV" "$U_UMASK" "$U_CWD" "$U_HOST" "$U_CACHE_DIR" "$U_RESULTS"
done
"#;

/// The same, as the plan wants it.
fn values(unit: &UnitContext) -> Vec<String> {
    let set = unit.set.iter();
    let set = set.flat_map(|pair| [pair.name.clone(), pair.value.clone()]);
    let lists = [
        unit.argv.clone(),
        set.collect(),
        unit.pass.clone(),
        unit.unset.clone(),
        unit.env.modules.clone(),
        unit.setup.clone(),
    ];
    let counted = lists.into_iter().flat_map(|list| {
        let count = list.len().to_string();
        std::iter::once(count).chain(list)
    });
    let single = [
        &unit.env.conda,
        &unit.env.venv,
        &unit.umask,
        &unit.cwd,
        &unit.host,
        &unit.cache_dir,
        &unit.results_dir,
    ];
    let single = single
        .into_iter()
        .map(|text| text.clone().unwrap_or_default());
    counted.chain(single).collect()
}

fn read_back(scripts: &BTreeMap<String, Vec<String>>, folder: &Path) -> Vec<u8> {
    let mut names = Vec::new();
    for (index, text) in scripts.keys().enumerate() {
        let path = folder.join(format!("{index}.sh"));
        fs::write(&path, text).unwrap();
        names.extend([path.as_os_str().as_encoded_bytes(), b"\0"].concat());
    }
    let list = folder.join("list");
    fs::write(&list, names).unwrap();
    let output = Command::new("bash")
        .args(["-c", READ_VALUES])
        .current_dir(folder)
        .stdin(fs::File::open(list).unwrap())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", output.status);
    output.stdout
}

/// Scripts of nodes and jobs: read by bash without a word, and no directive that nobody wrote.
fn accept(name: &str, text: &str) {
    let mut bash = Command::new("bash")
        .arg("-n")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    bash.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = bash.wait_with_output().unwrap();
    assert!(output.status.success(), "{name}: {output:?}\n{text}");
    for line in text.lines().filter(|line| line.contains("PWNED")) {
        let harmless = line.starts_with("#SBATCH --") && !line.contains("--wrap");
        assert!(harmless, "{name}: {line}");
    }
}

/// What was rendered of hostile clusters.
#[derive(Default)]
struct Made {
    /// Unit scripts, and the values that they must have.
    units: BTreeMap<String, Vec<String>>,
    /// Scripts of nodes and jobs, and their names.
    others: BTreeMap<String, String>,
}

impl Made {
    fn take(&mut self, files: &FileSet, units: &[UnitContext]) {
        for (name, file) in files.iter() {
            let script = || String::from_utf8(file.bytes.clone()).unwrap();
            let of_unit = |unit: &&UnitContext| name == format!("units/{}.sh", unit.name);
            if let Some(unit) = units.iter().find(of_unit) {
                self.units.insert(script(), values(unit));
            } else if name.starts_with("tmux/") || name.starts_with("slurm/") {
                self.others.insert(script(), name.to_owned());
            }
        }
    }
}

/// Puts the text into all of these strings at once, and takes out those that are refused until the rest passes.
/// Answers with what passed, and the refused ones that may have been in each other's way.
fn sift(
    lab: &Lab,
    tree: &Value,
    text: &str,
    strings: &[Place],
    made: &mut Made,
) -> (Vec<Place>, Vec<Place>) {
    let (mut left, mut refused) = (strings.to_vec(), Vec::new());
    loop {
        let hostile = left
            .iter()
            .fold(tree.clone(), |tree, place| with(&tree, place, false, text));
        let places = match lab.try_out(&hostile) {
            Outcome::Rendered(files, units) => {
                made.take(&files, &units);
                return (left, refused);
            }
            Outcome::Refused(places) => places,
        };
        let (out, stay): (Vec<Place>, Vec<Place>) = left
            .into_iter()
            .partition(|place| places.iter().any(|refused| place.starts_with(refused)));
        assert!(
            !out.is_empty(),
            "{text:?} is refused at {places:?}, where it is not"
        );
        refused.extend(out);
        left = stay;
    }
}

#[test]
fn every_string_of_the_yaml_is_refused_or_stays_the_text_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let yaml = fs::read_to_string(root.join("clusters/all-keys.yaml")).unwrap();
    let mut tree: Value = serde_yaml::from_str(&yaml).unwrap();
    // Refused where no word of the command has `{concurrency}`, and here all words are others at once.
    let restart = &mut tree["evals"]["hle"]["restart"];
    assert!(
        restart
            .as_object_mut()
            .unwrap()
            .remove("concurrency")
            .is_some()
    );
    let facts = fs::read_to_string(root.join("tests/golden/facts.json")).unwrap();
    let lab = Lab {
        facts: serde_json::from_str(&facts).unwrap(),
        renderer: Renderer::new(&BTreeMap::new()).unwrap(),
    };
    let mut made = Made::default();
    let mut all = Vec::new();
    leaves(&tree, &Place::new(), &mut all);
    let strings = all
        .iter()
        .filter(|(_, is_key)| !is_key)
        .map(|(place, _)| place.clone());
    let strings: Vec<Place> = strings.collect();
    let mut passed: BTreeMap<String, usize> = BTreeMap::new();
    for text in CORPUS {
        let (mut good, mut refused) = sift(&lab, &tree, text, &strings, &mut made);
        // Two names that are alike stand in each other's way; alone they may pass. Why is the same for each text.
        refused.retain(|_| *text == CORPUS[1]);
        for place in refused {
            let outcome = lab.try_out(&with(&tree, &place, false, text));
            if let Outcome::Rendered(files, units) = outcome {
                made.take(&files, &units);
                good.push(place);
            }
        }
        for place in good {
            *passed.entry(place.join(".")).or_default() += 1;
        }
    }
    for (place, _) in all.iter().filter(|(_, is_key)| *is_key) {
        let outcome = lab.try_out(&with(&tree, place, true, CORPUS[4]));
        if let Outcome::Rendered(files, units) = outcome {
            made.take(&files, &units);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let wanted = made.units.values().flatten();
    let wanted: Vec<u8> = wanted
        .flat_map(|word| [word.as_bytes(), b"\0"].concat())
        .collect();
    let read = read_back(&made.units, folder.path());
    assert!(read == wanted, "bash reads another value than the plan has");
    for (text, name) in &made.others {
        accept(name, text);
    }
    assert!(!folder.path().join("PWNED").exists());
    // Free text may be any but what no YAML of ours may hold: control characters. What is a name, a number or a choice is
    // none of these; a model is no option.
    let count = |place: &str| passed.get(place).copied().unwrap_or(0);
    let plain = CORPUS
        .iter()
        .filter(|text| text.chars().all(|c| c == '\n' || !is_hidden(c)))
        .count();
    for place in [
        "services.retrieval.command.1",
        "evals.hle.command.1",
        "evals.hle.cwd",
        "env.setup.0",
        "nodes.gpu-a.env.set.NCCL_SOCKET_IFNAME",
    ] {
        assert_eq!(count(place), plain, "{place}");
    }
    assert_eq!(count("models.orchestrator.model"), plain - 2);
    for place in [
        "name",
        "nodes.gpu-a.address",
        "nodes.gpu-a.ssh.host",
        "nodes.gpu-a.ssh.user",
        "nodes.gpu-a.ssh.jump",
        "nodes.gpu-b.slurm_name",
        "slurm.login",
        "models.orchestrator.node",
        "env.pass.0",
        "env.umask",
        "launcher",
    ] {
        assert_eq!(count(place), 0, "{place}");
    }
    assert!(
        made.units.len() > 100 && made.others.len() > 5,
        "{} {}",
        made.units.len(),
        made.others.len()
    );
}
