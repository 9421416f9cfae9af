//! Text that hurts a shell, a job file or a terminal, in every string of the YAML.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value};
use toolorch::base::is_hidden;
use toolorch::check::check_all;
use toolorch::diag::{Severity, human};
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

/// The files, and what each unit's script must say; none where it was refused, in words that a terminal can bear.
fn rendered(
    tree: &Value,
    facts: &Facts,
    renderer: &Renderer,
) -> Option<(FileSet, Vec<UnitContext>)> {
    let yaml = tree.to_string();
    let parsed = parse(Source::new("a.yaml", yaml.as_bytes()), &[]);
    let mut said = human(&parsed.diagnostics, &parsed.document, false);
    let checked = parsed.spec.map(|spec| check_all(&spec, facts));
    if let Some((plan, report)) = &checked {
        said += &human(report, &parsed.document, false);
        said += &table(plan);
    }
    let wild: BTreeSet<char> = said
        .chars()
        .filter(|c| is_hidden(*c) && *c != '\n')
        .collect();
    assert!(wild.is_empty(), "{wild:?} in {said:?}");
    let (plan, report) = checked?;
    if report
        .iter()
        .any(|finding| finding.severity == Severity::Error)
    {
        return None;
    }
    let files = render_plan(&plan, renderer).ok()?;
    let units = plan.units.iter().map(|unit| UnitContext::of(&plan, unit));
    Some((files, units.collect()))
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

#[test]
fn every_string_of_the_yaml_is_refused_or_stays_the_text_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let yaml = fs::read_to_string(root.join("clusters/all-keys.yaml")).unwrap();
    let tree: Value = serde_yaml::from_str(&yaml).unwrap();
    let facts = fs::read_to_string(root.join("tests/golden/facts.json")).unwrap();
    let facts: Facts = serde_json::from_str(&facts).unwrap();
    let renderer = Renderer::new(&BTreeMap::new()).unwrap();
    assert!(
        rendered(&tree, &facts, &renderer).is_some(),
        "the page itself"
    );

    let mut places = Vec::new();
    leaves(&tree, &Vec::new(), &mut places);
    let (mut refused, mut scripts, mut others) = (0, BTreeMap::new(), BTreeMap::new());
    let mut survived: BTreeMap<String, usize> = BTreeMap::new();
    for (place, is_key) in &places {
        // Most keys are the schema's: a few texts tell that others are refused.
        let texts = if *is_key { &CORPUS[..5] } else { CORPUS };
        for text in texts {
            let hostile = with(&tree, place, *is_key, text);
            let Some((files, units)) = rendered(&hostile, &facts, &renderer) else {
                refused += 1;
                continue;
            };
            let is_word = |unit: &UnitContext| values(unit).iter().any(|word| word == text);
            if units.iter().any(is_word) {
                *survived.entry(place.join(".")).or_default() += 1;
            }
            for (name, file) in files.iter() {
                let script = || String::from_utf8(file.bytes.clone()).unwrap();
                if let Some(unit) = units
                    .iter()
                    .find(|unit| name == format!("units/{}.sh", unit.name))
                {
                    scripts.insert(script(), values(unit));
                } else if name.starts_with("tmux/") || name.starts_with("slurm/") {
                    others.insert(script(), name.to_owned());
                }
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let read = read_back(&scripts, folder.path());
    let wanted: Vec<u8> = scripts
        .values()
        .flatten()
        .flat_map(|word| [word.as_bytes(), b"\0"].concat())
        .collect();
    assert!(read == wanted, "bash reads another value than the plan has");
    for (text, name) in &others {
        accept(name, text);
    }
    assert!(!folder.path().join("PWNED").exists());
    // What may hold any text holds all of it but NUL; what it looks like is nobody's business.
    let any = CORPUS.len() - 1;
    for place in [
        "models.own.command.2",
        "services.retrieval.command.1",
        "evals.hle.command.1",
        "nodes.gpu-a.env.set.NCCL_SOCKET_IFNAME",
    ] {
        let all = survived.get(place).copied().unwrap_or(0);
        assert!(
            all >= any - 2 && all <= any,
            "{place}: {all} of {any}\n{survived:#?}"
        );
    }
    assert!(
        refused > 1000 && scripts.len() > 300,
        "{refused} refused, {} scripts",
        scripts.len()
    );
}
