//! From a spec and facts to a plan: puts the answers of the other files together.

use std::collections::HashSet;

use crate::base::{FieldPath, Name, NodeName, Port, UnitId};
use crate::diag::Report;
use crate::facts::Facts;
use crate::spec::ClusterSpec;
use crate::spec::model::{
    Engine, LauncherKind, ModelSpec, PortChoice, Service, TransportKind, WhenDone,
};
use crate::spec::resolve;

use super::evals::{self, CONTROLLER, GRACE, OPEN_FILES};
use super::fill::Values;
use super::place::{Slot, place};
use super::ports::{self, Ports};
use super::sites::{Site, Sites};
use super::{
    Endpoint, ExternalPlan, Group, Plan, PlanNode, ReadyRule, Start, Unit, UnitEnv, UnitKind, argv,
    configs, egress, env, gpu_share, inherit, jobs, notify, paths, ready, start, tunnels,
};

/// Plans a cluster: always a plan, as complete as can be, and all that stands in its way.
///
/// Nothing is started while the report holds an error; the plan is then for looking at. The cost is
/// linear in the number of replicas.
pub fn plan(spec: &ClusterSpec, facts: &Facts) -> (Plan, Report) {
    let mut report = Report::new();
    let sites = Sites::of(spec, facts);
    let placement = place(spec, &sites, &mut report);
    let mut builder = Builder {
        spec,
        facts,
        sites: &sites,
        ports: Ports::new(&sites, facts),
        units: Vec::with_capacity(placement.models.iter().map(Vec::len).sum()),
        groups: Vec::new(),
        report,
    };
    let ports = builder.assign_ports(&placement.models, &placement.services);
    for ((name, model), (slots, ports)) in
        (spec.models.iter()).zip(placement.models.iter().zip(ports.models))
    {
        builder.model(name, model, slots, &ports);
    }
    for ((name, service), (slot, port)) in
        (spec.services.iter()).zip(placement.services.iter().zip(ports.services))
    {
        builder.service(name, service, slot.as_ref(), port);
    }
    let Builder {
        mut units,
        mut groups,
        mut report,
        ..
    } = builder;
    let mut planned_evals = Vec::with_capacity(spec.evals.len());
    for (name, eval) in evals::in_order(spec, &mut report) {
        let (plan, unit) = evals::one(spec, facts, &sites, name, eval, &mut report);
        planned_evals.push(plan);
        units.push(unit);
    }
    tunnels::add(spec, facts, &sites, (&mut units, &mut groups), &mut report);
    let externals = externals(spec);
    let planned = egress::Planned {
        units: &mut units,
        groups: &mut groups,
        evals: &mut planned_evals,
        externals: &externals,
    };
    egress::add(spec, facts, planned, &mut report);
    fill_home(&mut units, &sites, facts);
    let jobs = jobs::all(spec, &sites, &units, &mut report);
    let plan = Plan {
        format: Plan::FORMAT,
        cluster: spec.name.clone(),
        nodes: nodes(&sites, &units),
        when_done: when_done(spec, &units),
        jobs_go: spec.when_done.is_none() && !jobs.is_empty(),
        units,
        groups,
        externals,
        configs: configs::all(spec, facts),
        evals: planned_evals,
        jobs,
        idle: spec.idle.map(|length| length.0),
        notify: notify::of(spec, facts),
        shares: super::shares::shares(spec),
    };
    (plan, report)
}

struct Builder<'a> {
    spec: &'a ClusterSpec,
    facts: &'a Facts,
    sites: &'a Sites<'a>,
    ports: Ports,
    units: Vec<Unit>,
    groups: Vec<Group>,
    report: Report,
}

/// A port for each unit; none where there is no more.
struct Assigned {
    models: Vec<Vec<Option<Port>>>,
    services: Vec<Option<Port>>,
}

impl Builder<'_> {
    /// Ports that are written down first, so that `auto` goes around all of them.
    fn assign_ports(&mut self, models: &[Vec<Slot>], services: &[Option<Slot>]) -> Assigned {
        let spec = self.spec;
        let mut assigned = Assigned {
            models: models.iter().map(|slots| vec![None; slots.len()]).collect(),
            services: vec![None; services.len()],
        };
        for auto in [false, true] {
            for ((name, model), (slots, into)) in
                (spec.models.iter()).zip(models.iter().zip(&mut assigned.models))
            {
                let choice = ports::wanted(model.port);
                if matches!(choice, PortChoice::Auto) != auto {
                    continue;
                }
                for (index, (slot, port)) in slots.iter().zip(into.iter_mut()).enumerate() {
                    let unit = UnitId::replica(name, index);
                    *port = self.take(&unit, choice, slot.site, index);
                }
                if into.iter().any(Option::is_none) {
                    let origin = FieldPath::root().key("models").key(name.as_str());
                    ports::no_port(name.as_str(), choice, &origin, &mut self.report);
                }
            }
            for ((name, service), (slot, port)) in
                (spec.services.iter()).zip(services.iter().zip(&mut assigned.services))
            {
                let choice = ports::wanted(service.port);
                let Some(slot) = slot.as_ref() else { continue };
                if matches!(choice, PortChoice::Auto) != auto {
                    continue;
                }
                let unit = UnitId::service(name);
                *port = self.take(&unit, choice, slot.site, 0);
                if port.is_none() {
                    let origin = FieldPath::root().key("services").key(name.as_str());
                    ports::no_port(name.as_str(), choice, &origin, &mut self.report);
                }
            }
        }
        assigned
    }

    fn take(
        &mut self,
        unit: &UnitId,
        choice: PortChoice,
        site: usize,
        index: usize,
    ) -> Option<Port> {
        match choice {
            PortChoice::Fixed(first) => self.ports.fixed(site, first, index),
            PortChoice::Auto => {
                let held = self.facts.held_ports.get(unit).copied();
                self.ports.auto(site, held)
            }
        }
    }

    /// All servers of a model, and the group that they form.
    fn model(&mut self, name: &Name, model: &ModelSpec, slots: &[Slot], ports: &[Option<Port>]) {
        let origin = FieldPath::root().key("models").key(name.as_str());
        let (spec, facts) = (self.spec, self.facts);
        let common = Common {
            name,
            model,
            command: argv::command(spec, facts, name, model, &origin, &mut self.report),
            ready: ready::of_model(spec, facts, name, model),
            origin,
        };
        let mut endpoints = Vec::with_capacity(slots.len());
        let mut block: Option<Block> = None;
        for (index, (slot, port)) in slots.iter().zip(ports).enumerate() {
            // A unit without a port cannot be started; the report says why it has none.
            let Some(port) = *port else { continue };
            let id = UnitId::replica(name, index);
            let block = match &mut block {
                Some(block) if slot.position > 0 => block,
                other => other.insert(self.block(&common, slot, &id)),
            };
            let unit = self.replica(&common, block, index, slot, (id, port));
            endpoints.push(Endpoint {
                unit: unit.id.clone(),
                host: unit.address.clone(),
                port,
            });
            self.units.push(unit);
        }
        let wanted = model
            .min_ready
            .map_or(endpoints.len(), |number| number as usize);
        self.groups.push(Group {
            name: name.clone(),
            key: argv::served_id(model).to_owned(),
            min_ready: wanted.min(endpoints.len()),
            hidden: false,
            endpoints,
        });
    }

    /// What the servers of a model on one node have in common; `first` is the first of them.
    fn block(&self, common: &Common<'_>, slot: &Slot, first: &UnitId) -> Block {
        let (spec, site) = (self.spec, self.sites.at(slot.site));
        let mut env = inherit::unit_env(resolve::model_env(spec, common.name, site.key));
        env::add_for_model(
            spec,
            common.name,
            common.model,
            &self.facts.yaml_dir,
            &mut env,
        );
        Block {
            env,
            launcher: resolve::model_launcher(spec, common.name, site.key).value,
            first: first.clone(),
        }
    }

    /// One server of a model.
    fn replica(
        &mut self,
        common: &Common<'_>,
        block: &Block,
        index: usize,
        slot: &Slot,
        (id, port): (UnitId, Port),
    ) -> Unit {
        let (site, model) = (self.sites.at(slot.site), common.model);
        let values = server_values(site, slot, &id, port);
        // What is wrong with one replica's texts is wrong with all: said once.
        let mut report = (index == 0).then_some(&mut self.report);
        let mut env = block.env.clone();
        env::fill_set(&mut env, &values, &common.origin, report.as_deref_mut());
        let argv = if let Some(command) = &common.command {
            command.at(site.bind(), port)
        } else {
            let own = model.command.as_deref().unwrap_or_default();
            env::fill_command(own, &values, &common.origin, report)
        };
        let takes = argv::engine(model) == Engine::Vllm && !slot.gpus.is_empty();
        let gpu_share =
            takes.then(|| gpu_share::of_vllm(&argv, inherit::release(self.spec, common.name)));
        Unit {
            kind: UnitKind::Replica {
                model: common.name.clone(),
                index,
            },
            node: site.name.clone(),
            address: site.address.clone(),
            launcher: block.launcher,
            gpus: slot.gpus.clone(),
            gpu_share: gpu_share.flatten(),
            stage: env::stage(self.spec, model),
            port: Some(port),
            more_ports: Vec::new(),
            through: None,
            port_auto: matches!(ports::wanted(model.port), PortChoice::Auto),
            argv,
            env,
            slower: Vec::new(),
            cwd: Some(paths::anchored(site.cwd(), &self.facts.yaml_dir)),
            cache_dir: env::cache_dir(self.spec, common.name, model, id.as_str()),
            open_files: OPEN_FILES,
            grace: GRACE,
            start: start::of_replica(model, slot.position, &block.first),
            ready: common.ready.clone(),
            restart: ready::restart(model.restart.as_ref()),
            results_dir: None,
            origin: common.origin.clone(),
            id,
        }
    }

    /// The unit of a service, and its group of one.
    fn service(&mut self, name: &Name, service: &Service, slot: Option<&Slot>, port: Option<Port>) {
        let origin = FieldPath::root().key("services").key(name.as_str());
        let mut group = Group {
            name: name.clone(),
            key: name.to_string(),
            endpoints: Vec::new(),
            min_ready: 1,
            hidden: service.hidden,
        };
        if let (Some(slot), Some(port)) = (slot, port) {
            let site = self.sites.at(slot.site);
            let id = UnitId::service(name);
            let values = server_values(site, slot, &id, port);
            let env = resolve::service_env(self.spec, name, site.key);
            let mut env: UnitEnv = inherit::unit_env(env);
            env::fill_set(&mut env, &values, &origin, Some(&mut self.report));
            let argv =
                env::fill_command(&service.command, &values, &origin, Some(&mut self.report));
            let cwd = service.cwd.as_deref().unwrap_or(site.cwd());
            group.endpoints.push(Endpoint {
                unit: id.clone(),
                host: site.address.clone(),
                port,
            });
            self.units.push(Unit {
                id,
                kind: UnitKind::Service { name: name.clone() },
                node: site.name.clone(),
                address: site.address.clone(),
                launcher: resolve::service_launcher(self.spec, name, site.key).value,
                gpus: slot.gpus.clone(),
                gpu_share: None,
                stage: None,
                port: Some(port),
                more_ports: Vec::new(),
                through: None,
                port_auto: matches!(ports::wanted(service.port), PortChoice::Auto),
                argv,
                env,
                slower: Vec::new(),
                cwd: Some(paths::anchored(cwd, &self.facts.yaml_dir)),
                cache_dir: None,
                open_files: service.open_files.unwrap_or(OPEN_FILES),
                grace: GRACE,
                start: Start::default(),
                ready: ready::of_service(service),
                restart: ready::restart(service.restart.as_ref()),
                results_dir: None,
                origin,
            });
        }
        self.groups.push(group);
    }
}

/// What the placeholders of a server stand for.
fn server_values(site: &Site<'_>, slot: &Slot, id: &UnitId, port: Port) -> Values {
    Values::default()
        .with("port", port.to_string())
        .with("host", site.bind())
        .with("name", id.as_str())
        .with("gpus", argv::gpu_list(&slot.gpus))
}

/// What all servers of a model have in common.
struct Common<'a> {
    name: &'a Name,
    model: &'a ModelSpec,
    command: Option<argv::Command>,
    ready: ReadyRule,
    origin: FieldPath,
}

/// What all servers of a model on one node have in common.
struct Block {
    env: UnitEnv,
    launcher: LauncherKind,
    first: UnitId,
}

/// `~` in words and variables of the units that run on this machine.
fn fill_home(units: &mut [Unit], sites: &Sites<'_>, facts: &Facts) {
    let home = facts.home.get().map(String::as_str);
    let here = sites.all().iter().filter(|site| site.is_here());
    let here: HashSet<&str> = here.map(|site| site.name.as_str()).collect();
    for unit in units {
        let node = unit.node.as_str();
        if unit.launcher != LauncherKind::Slurm && (node == CONTROLLER || here.contains(node)) {
            paths::fill_home(&mut unit.argv, &mut unit.env, home);
        }
    }
}

/// The nodes on which something runs, in the order of the YAML; this machine last.
fn nodes(sites: &Sites<'_>, units: &[Unit]) -> Vec<PlanNode> {
    let used: HashSet<&str> = units.iter().map(|unit| unit.node.as_str()).collect();
    let mut nodes: Vec<PlanNode> = (sites.all().iter())
        .filter(|site| used.contains(site.name.as_str()))
        .map(|site| PlanNode {
            name: site.name.clone(),
            address: site.address.clone(),
            transport: site.transport,
            ssh: site.ssh(),
            gpus: site.gpus.clone(),
            gpu: site.gpu.map(str::to_owned),
        })
        .collect();
    if used.contains(CONTROLLER) {
        nodes.push(PlanNode {
            name: NodeName::new(CONTROLLER),
            address: "localhost".to_owned(),
            transport: TransportKind::Local,
            ssh: None,
            gpus: Vec::new(),
            gpu: None,
        });
    }
    nodes
}

/// Under SLURM an idle server costs somebody else's turn; elsewhere a warm one is worth keeping.
fn when_done(spec: &ClusterSpec, units: &[Unit]) -> WhenDone {
    let serves =
        |unit: &&Unit| unit.port.is_some() && !matches!(unit.kind, UnitKind::Tunnel { .. });
    let all_slurm = (units.iter().filter(serves)).all(|unit| unit.launcher == LauncherKind::Slurm);
    spec.when_done.unwrap_or(if all_slurm {
        WhenDone::Down
    } else {
        WhenDone::Keep
    })
}

fn externals(spec: &ClusterSpec) -> Vec<ExternalPlan> {
    let one = |(name, external): (&Name, &crate::spec::model::External)| ExternalPlan {
        name: name.clone(),
        url: external.url.clone(),
        models: external.models.clone(),
        api_key_env: external.api_key.as_ref().and_then(|key| key.env.clone()),
    };
    spec.externals.iter().map(one).collect()
}
