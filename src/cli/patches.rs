//! The advised change as a patch of the user's own YAML.

use std::path::Path;

use crate::base::unified_diff;
use crate::render::quote;
use crate::report::verdict::{Advice, Analysis, Patch};
use crate::report::{Judgement, KeptYaml, Report};
use crate::run::store::Home;
use crate::spec::edited;

/// What advice says of the YAML, as a unified diff.
pub(super) enum Patched {
    /// This one.
    Made(String),
    /// It cannot be had, for this reason.
    Not(String),
    /// Nothing is advised.
    Nothing,
}

/// The patch of what is advised.
pub(super) fn of(analysis: &Analysis, yaml: Option<&KeptYaml>, home: &Home) -> Patched {
    let Advice::Change { prediction, .. } = &analysis.advice else {
        return Patched::Nothing;
    };
    diff(&prediction.patch, yaml, home).map_or_else(Patched::Not, Patched::Made)
}

/// Changes of the YAML as a unified diff, or why that cannot be had.
pub(super) fn diff(patch: &Patch, yaml: Option<&KeptYaml>, home: &Home) -> Result<String, String> {
    let yaml = yaml.ok_or("the YAML of this run cannot be read")?;
    let text = edited(&yaml.text, &patch.edits());
    let text = text.map_err(|why| format!("`{}`: {why}", yaml.path))?;
    Ok(unified_diff(
        &name(yaml.path.as_ref(), home),
        &yaml.text,
        &text,
    ))
}

/// As seen from the folder in which runs are kept, if it is below that; else from its own.
fn name(yaml: &Path, home: &Home) -> String {
    let home = home.path().canonicalize().ok();
    let base = home.as_deref().and_then(Path::parent);
    let below = base.and_then(|base| yaml.strip_prefix(base).ok());
    let own = || yaml.file_name().map(Path::new);
    let name = below.or_else(own).unwrap_or(yaml);
    name.display().to_string()
}

/// Names the files in which patches are kept, `advice.patch` or one for each evaluation that has one, and the commands that make
/// the changes: with the files in this folder, or, in a bundle, beside its own `cluster.yaml`.
pub(super) fn name_files(
    judgements: &mut [Judgement],
    yaml: Option<&KeptYaml>,
    folder: Option<&Path>,
) {
    let all = judgements.iter().filter(|one| one.patch.is_some()).count();
    for judged in judgements.iter_mut().filter(|one| one.patch.is_some()) {
        let file = match all {
            1 => "advice.patch".to_owned(),
            _ => format!("advice-{}.patch", judged.evaluation),
        };
        judged.patch_command = match folder {
            None => Some(format!("patch cluster.yaml < {file}")),
            Some(folder) => {
                let path = std::path::absolute(folder.join(&file));
                let path = path
                    .ok()
                    .and_then(|path| quoted(&path.display().to_string()));
                let patches = yaml.and_then(command);
                patches
                    .zip(path)
                    .map(|(patches, path)| format!("{patches} < {path}"))
            }
        };
        judged.patch_file = Some(file);
    }
}

/// The program with the file that it is to change, for a shell: so it is found from every folder, whatever its name is.
pub(super) fn command(yaml: &KeptYaml) -> Option<String> {
    Some(format!("patch {}", quoted(&yaml.path)?))
}

fn quoted(path: &str) -> Option<String> {
    Some(quote(path).ok()?.into_owned())
}

/// Those files, and their texts.
pub(super) fn files(report: &Report) -> Vec<(String, String)> {
    let made = report.judgements.iter();
    made.filter_map(|one| Some((one.patch_file.clone()?, one.patch.clone()?)))
        .collect()
}

/// Whether a file is of that kind: an older one would be taken for what is advised now.
pub(super) fn is_one(name: &str) -> bool {
    name.starts_with("advice")
        && Path::new(name)
            .extension()
            .is_some_and(|end| end == "patch")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::verdict::{Evidence, analyse};

    fn judged(name: &str) -> Judgement {
        Judgement {
            evaluation: name.to_owned(),
            speed: None,
            doubts: Vec::new(),
            analysis: analyse(&Evidence::default()),
            command: None,
            patch: Some("--- ./x\n".to_owned()),
            patch_file: None,
            patch_command: None,
            no_patch: None,
            followed: None,
        }
    }

    #[test]
    fn commands_can_be_pasted_anywhere_whatever_folders_are_called() {
        let yaml = |path: &str| KeptYaml {
            path: path.to_owned(),
            text: String::new(),
        };
        let said = |names: &[&str], yaml: Option<&KeptYaml>, folder: Option<&str>| {
            let mut all: Vec<Judgement> = names.iter().map(|name| judged(name)).collect();
            name_files(&mut all, yaml, folder.map(Path::new));
            let commands = all.into_iter().map(|one| one.patch_command);
            let commands: Vec<String> = commands.map(Option::unwrap_or_default).collect();
            commands.join("\n")
        };
        let plain = yaml("/w/c/x.yaml");
        let hard = yaml("/w/my c/it's\n.yaml");
        let all = [
            said(&["hle"], Some(&plain), Some("/w/.toolorch/report")),
            said(&["hle", "frames"], Some(&hard), Some("/w/my runs")),
            said(&["hle"], Some(&plain), None),
        ];
        insta::assert_snapshot!(all.join("\n"), @r"
        patch /w/c/x.yaml < /w/.toolorch/report/advice.patch
        patch $'/w/my c/it\'s\n.yaml' < '/w/my runs/advice-hle.patch'
        patch $'/w/my c/it\'s\n.yaml' < '/w/my runs/advice-frames.patch'
        patch cluster.yaml < advice.patch
        ");
        let relative = said(&["hle"], Some(&plain), Some("out"));
        let here = std::env::current_dir().unwrap();
        assert!(relative.ends_with(&format!("{}/out/advice.patch", here.display())));
    }
}
