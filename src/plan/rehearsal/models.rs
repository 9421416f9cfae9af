//! Models: the simulator in vLLM's place, at rates that are said, or assumed from model and card.

use crate::base::{Millis, Name, float, floor};
use crate::facts::{Facts, PathKind};
use crate::knowledge::families;
use crate::knowledge::memory::default_utilization;
use crate::knowledge::recipes;
use crate::knowledge::release::Release;
use crate::knowledge::speed;
use crate::plan::place::size;
use crate::plan::{inherit, needed_context};
use crate::spec::ClusterSpec;
use crate::spec::model::{Duration, Engine, Env, ModelSpec, Restart, ScalarText, Sim};

use super::types::{Prop, Replaced, Wish};

/// Tokens of an answer where nothing is said: a model that thinks writes more.
const THINKING: u64 = 2000;
const PLAIN: u64 = 500;
/// With more servers than this each is one process: three would be too many for a laptop.
const WITH_TREES: usize = 64;
/// The pause before a restart, in a night; no rehearsal waits shorter than this.
const BACKOFF: Duration = Duration(Millis(5_000));
const SHORTEST: Millis = Millis(200);
/// The context of a model about which nothing is known.
const USUAL_CONTEXT: u64 = 32_768;

/// What came of the models.
#[derive(Debug, Default)]
pub(super) struct Simulated {
    pub(super) replaced: Vec<Replaced>,
    pub(super) props: Vec<Prop>,
    pub(super) assumed: Vec<Name>,
    /// Keys of models that changed, with the new ones: a path of the site became a folder here.
    pub(super) renamed: Vec<(String, String)>,
}

/// Puts the simulator in place of every model's server.
pub(super) fn simulate(spec: &mut ClusterSpec, facts: &Facts, wish: &Wish) -> Simulated {
    let mut done = Simulated::default();
    let original = spec.clone();
    let servers: usize = spec.models.values().map(|model| size(model).units).sum();
    let env = (servers <= WITH_TREES).then(tree);
    done.replaced.extend(all(&original));
    for (name, model) in &mut spec.models {
        if rates(&original, name, model) {
            done.assumed.push(name.clone());
        }
        stub(&original, facts, wish, name, model, &mut done);
        strip(model, wish);
        model.env.clone_from(&env);
    }
    let top = spec.sim.get_or_insert_with(Sim::default);
    top.speed = Some(wish.speed);
    done
}

/// One row for all models.
fn all(spec: &ClusterSpec) -> Option<Replaced> {
    let names: Vec<&str> = spec.models.keys().map(Name::as_str).collect();
    (!names.is_empty()).then(|| Replaced {
        what: names.join(", "),
        by: "the simulated vLLM".to_owned(),
        why: None,
    })
}

/// Servers of three processes each, as vLLM's, so that what is left of one that died is what would be left there.
fn tree() -> Env {
    let mut env = Env::default();
    env.set
        .insert("TOOLORCH_SIM_TREE".to_owned(), ScalarText("1".to_owned()));
    env
}

/// Takes away what only the site has.
fn strip(model: &mut ModelSpec, wish: &Wish) {
    model.engine = Some(Engine::Sim);
    model.command = None;
    model.gpus = None;
    model.launcher = None;
    model.chat_template = None;
    model.stagger = model.stagger.map(|length| scaled(length, wish));
    if let Some(vllm) = &mut model.vllm {
        vllm.env = None;
    }
    model.restart = Some(sooner_again(model.restart.take(), wish));
    if let Some(sim) = &mut model.sim {
        sim.speed = None;
    }
}

/// A restart whose pause passes as fast as everything else, but for what a machine needs to notice.
pub(super) fn sooner(backoff: Option<Duration>, wish: &Wish) -> Duration {
    let pause = scaled(backoff.unwrap_or(BACKOFF), wish);
    Duration(pause.0.max(SHORTEST))
}

/// The same of a whole rule.
pub(super) fn sooner_again(restart: Option<Restart>, wish: &Wish) -> Restart {
    let mut restart = restart.unwrap_or(Restart {
        attempts: None,
        backoff: None,
        window: None,
    });
    restart.backoff = Some(sooner(restart.backoff, wish));
    restart
}

/// A length of the site as it passes in a rehearsal.
pub(super) fn scaled(length: Duration, wish: &Wish) -> Duration {
    Duration(Millis(floor(float(length.0.0) / wish.speed)))
}

/// Fills in the rates that nobody gave; whether one was assumed.
fn rates(spec: &ClusterSpec, name: &Name, model: &mut ModelSpec) -> bool {
    let top = spec.sim.clone().unwrap_or_default();
    let tokens = if thinks(model) { THINKING } else { PLAIN };
    let gpu = model.node.0.first().and_then(|node| {
        let of_node = spec
            .nodes
            .get(node.as_str())
            .and_then(|node| node.gpu.as_deref());
        of_node.or_else(|| spec.pools.get(node.as_str())?.gpu.as_deref())
    });
    let cards = model.tensor_parallel.unwrap_or(1) * model.pipeline_parallel.unwrap_or(1);
    let release = inherit::release(spec, name).unwrap_or(Release::new(0, 32, 0));
    let share = model
        .gpu_memory_utilization
        .unwrap_or_else(|| default_utilization(release));
    let guess = speed::assumed(&model.model, gpu, cards, share);
    let own = model.sim.get_or_insert_with(Sim::default);
    let fixed = own.latency.or(top.latency).is_some();
    let mut assumed = false;
    let mut fill = |own: &mut Option<f64>, top: Option<f64>, guess: f64| {
        if own.or(top).is_none() && !fixed {
            *own = Some(guess);
            assumed = true;
        }
    };
    fill(&mut own.prefill_rate, top.prefill_rate, guess.prefill_rate);
    fill(&mut own.decode_rate, top.decode_rate, guess.decode_rate);
    if own.answer_tokens.or(top.answer_tokens).is_none() && !fixed {
        own.answer_tokens = Some(tokens);
        assumed = true;
    }
    if own.cache_tokens.or(top.cache_tokens).is_none() && !fixed {
        own.cache_tokens = guess.cache_tokens;
    }
    if own.startup.or(top.startup).is_none() {
        own.startup = Some(Duration(guess.startup));
    }
    assumed
}

fn thinks(model: &ModelSpec) -> bool {
    let family = families::family_of(&model.model);
    let by_default = family
        .and_then(|family| family.thinking)
        .is_some_and(|how| how.by_default);
    by_default && model.thinking != Some(false)
}

/// A model that is a path of the site becomes a folder here: some clients send tools only if it exists.
fn stub(
    spec: &ClusterSpec,
    facts: &Facts,
    wish: &Wish,
    name: &Name,
    model: &mut ModelSpec,
    done: &mut Simulated,
) {
    let there = facts.paths.get(&model.model).and_then(|kind| kind.get());
    if !model.model.starts_with('/') || there == Some(&PathKind::Directory) {
        return;
    }
    let parts = model.model.split('/');
    let inside: Vec<&str> = parts.filter(|part| !matches!(*part, "." | "..")).collect();
    let path = format!("{}/models{}", wish.folder, inside.join("/"));
    let known = recipes::recipe(last(&model.model)).and_then(|recipe| recipe.context);
    let needed = needed_context(spec, name)
        .unwrap_or(0)
        .max(model.max_model_len.unwrap_or(0));
    let context = known.map_or(USUAL_CONTEXT, u64::from).max(needed);
    done.props.push(Prop::Text {
        path: format!("{}/config.json", path.trim_end_matches('/')),
        text: format!("{{\"max_position_embeddings\": {context}}}\n"),
    });
    done.replaced.push(Replaced {
        what: model.model.clone(),
        by: "a stub folder".to_owned(),
        why: Some("it is not on this machine; its context length is taken to be enough".to_owned()),
    });
    done.renamed.push((model.model.clone(), path.clone()));
    model.model = path;
}

fn last(path: &str) -> &str {
    path.trim_end_matches('/')
        .rsplit('/')
        .next()
        .unwrap_or(path)
}
