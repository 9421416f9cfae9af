//! From a file to a checked plan: what every command begins with.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use super::args::ClusterArgs;
use super::printer::{Printer, Verbosity};
use super::runs;
use crate::base::ExitStatus;
use crate::check::{self, Ctx};
use crate::diag::{Code, Report, Severity, human};
use crate::facts::{Facts, Known};
use crate::plan::ask::{self, Questions};
use crate::plan::weights::wanted;
use crate::plan::{self, Plan};
use crate::run::store::read_at_most;
use crate::spec::model::Reach;
use crate::spec::{self, ClusterSpec, Document, Override, Source, later_keys, later_note};
use crate::world;

/// A cluster as far as it could be read, with everything that was found.
pub(super) struct Loaded {
    /// Text, tree and origins.
    pub(super) document: Document,
    /// The rest; none where the YAML's structure has errors.
    pub(super) cluster: Option<Cluster>,
    /// Every diagnostic, of all floors.
    pub(super) diagnostics: Report,
}

/// A cluster whose YAML has the right structure.
pub(super) struct Cluster {
    /// What the YAML says.
    pub(super) spec: ClusterSpec,
    /// What was found here.
    pub(super) facts: Facts,
    /// What was asked about this machine.
    pub(super) asked: Questions,
    /// What is to be done.
    pub(super) plan: Plan,
}

impl Cluster {
    /// For the rules of `check`.
    pub(super) fn ctx(&self) -> Ctx<'_> {
        Ctx {
            spec: &self.spec,
            plan: &self.plan,
            facts: &self.facts,
        }
    }
}

impl Loaded {
    /// The gravest finding.
    pub(super) fn worst(&self) -> Option<Severity> {
        self.diagnostics.iter().map(|found| found.severity).max()
    }

    /// Whether nothing may be started.
    pub(super) fn refused(&self, strict: bool) -> bool {
        let limit = if strict {
            Severity::Warning
        } else {
            Severity::Error
        };
        self.cluster.is_none() || self.worst() >= Some(limit)
    }

    /// The diagnostics for people, on stderr.
    pub(super) fn complain(&self, printer: Printer) {
        if self.diagnostics.is_empty() {
            return;
        }
        if printer.verbosity() == Verbosity::Quiet {
            self.complain_gravely(printer);
        } else {
            let shown = human(&self.diagnostics, &self.document, printer.in_colour());
            printer.complain(shown.trim_end());
        }
        let unread = self
            .diagnostics
            .iter()
            .any(|found| found.code == Code("E0100"));
        if self.cluster.is_none() && !unread {
            printer.complain("what follows from the values is checked once the structure is right");
        }
    }

    /// The same without notes.
    fn complain_gravely(&self, printer: Printer) {
        let all = self.diagnostics.iter();
        let grave: Report = all
            .filter(|found| found.severity > Severity::Note)
            .cloned()
            .collect();
        if !grave.is_empty() {
            let shown = human(&grave, &self.document, printer.in_colour());
            printer.complain(shown.trim_end());
        }
    }

    /// The cluster, if nothing stands in its way; otherwise the findings are shown.
    pub(super) fn ready(
        self,
        printer: Printer,
        strict: bool,
    ) -> Result<(Document, Cluster), ExitStatus> {
        if self.refused(strict) {
            self.complain(printer);
            return Err(ExitStatus::Usage);
        }
        // Notes are for `check`; here they would hide what happens.
        self.complain_gravely(printer);
        let cluster = self.cluster.ok_or(ExitStatus::Usage)?;
        Ok((self.document, cluster))
    }
}

/// Reads, plans and checks a cluster; starts nothing.
///
/// # Errors
/// A `--set` that cannot be read was said.
pub(super) fn load(args: &ClusterArgs, printer: Printer) -> Result<Loaded, ExitStatus> {
    let mut overrides = Vec::new();
    for text in &args.set {
        match Override::parse(text) {
            Ok(value) => overrides.push(value),
            Err(why) => {
                printer.complain(&format!("error: --set {text}: {why}"));
                return Err(ExitStatus::Usage);
            }
        }
    }
    let parsed = spec::parse(read(&args.file), &overrides);
    let mut diagnostics = parsed.diagnostics;
    let cluster = parsed.spec.map(|spec| {
        let (cluster, found) = gather(spec, &args.file);
        diagnostics.extend(found);
        diagnostics.extend(later_note(&later_keys(&parsed.document)));
        cluster
    });
    Ok(Loaded {
        document: parsed.document,
        cluster,
        diagnostics,
    })
}

/// Plans and checks what a YAML says, or what was made of it, with what is found on this machine.
pub(super) fn gather(spec: ClusterSpec, yaml: &Path) -> (Cluster, Report) {
    let mut facts = world::machine_facts(yaml);
    facts.runs = Known::Known(runs::home().path().to_string_lossy().into_owned());
    facts.held_ports = runs::held_ports(&spec.name);
    if spec
        .nodes
        .values()
        .any(|node| node.reach == Some(Reach::Tunnel))
    {
        facts.held_doors = runs::held_doors(&spec.name);
    }
    if !spec.pools.is_empty() || spec.slurm.is_some() {
        facts.predicted = runs::predicted(&spec.name);
    }
    let home = facts.home.get().cloned();
    let asked = ask::questions(&spec, &facts.yaml_dir, home.as_deref());
    world::add_answers(&mut facts, &asked);
    let (mut plan, mut found) = plan::plan(&spec, &facts);
    let variables = super::cmd::up::environment();
    let weights = wanted(&spec, &plan, home.as_deref(), &variables, &BTreeSet::new());
    // What a cache says of a model decides on parsers, so it is planned again; without a cache that is never needed.
    if world::add_cached_models(&mut facts, &weights) {
        (plan, found) = plan::plan(&spec, &facts);
    }
    world::add_programs(&mut facts, &ask::programs(&plan));
    let environments = ask::environments(&plan, home.as_deref());
    let files = environments.iter().map(|(venv, _)| ask::activation(venv));
    let sourced = ask::sourced(&plan, home.as_deref()).into_iter();
    world::add_paths(&mut facts, files.chain(sourced.map(|(file, _)| file)));
    if !ask::conda(&plan).is_empty() {
        world::add_conda_envs(&mut facts);
    }
    let ctx = Ctx {
        spec: &spec,
        plan: &plan,
        facts: &facts,
    };
    let found = check::check(&ctx, found);
    let cluster = Cluster {
        spec,
        facts,
        asked,
        plan,
    };
    (cluster, found)
}

/// The file's text; what cannot be read becomes a diagnostic.
fn read(path: &Path) -> Source {
    let name = path.display().to_string();
    if path.is_dir() {
        return Source::unreadable(name, "it is a directory; name the YAML in it");
    }
    // A pipe would be waited for, maybe for ever.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Source::unreadable(name, "it is no regular file");
    }
    match read_at_most(path, spec::MAX_BYTES as u64) {
        Ok(bytes) => Source::new(name, &bytes),
        Err(error) if error.kind() == ErrorKind::FileTooLarge => Source::too_large(name),
        Err(error) => Source::unreadable(name, &error.to_string()),
    }
}
