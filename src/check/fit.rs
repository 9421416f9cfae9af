//! Whether a model fits its GPUs: heads that can be divided, weights, and the cache of one full request.
//!
//! Each figure is a lower bound of what vLLM takes (activations, CUDA graphs and the context of CUDA come on top), so that
//! what is refused here would be refused there, a quarter of an hour later.

use crate::base::{FieldPath, Name, ceil, float};
use crate::diag::{Applicability, Code, Diagnostic, Fix, Place, Report};
use crate::knowledge::flags::canonical;
use crate::knowledge::memory::default_utilization;
use crate::knowledge::release::Release;
use crate::knowledge::{gpus, recipes};
use crate::plan::{argv, inherit};
use crate::spec::model::{Engine, Layout, ModelSpec};

use super::Ctx;
use super::context;
use super::shape::{Shape, shape};

const GIB: f64 = 1_073_741_824.0;

pub(super) fn check(ctx: &Ctx<'_>, report: &mut Report) {
    for (name, model) in &ctx.spec.models {
        if argv::engine(model) != Engine::Vllm {
            continue;
        }
        let origin = FieldPath::root().key("models").key(name.as_str());
        let shape = shape(ctx, name, model);
        report.extend(layout(model, shape.as_ref(), &origin));
        let Some(shape) = shape else { continue };
        if let Some(finding) = heads(name, model, &shape, &origin) {
            report.push(finding);
            continue;
        }
        report.extend(memory(ctx, name, model, &shape, &origin));
    }
}

fn tensor(model: &ModelSpec) -> u64 {
    u64::from(model.tensor_parallel.unwrap_or(1)).max(1)
}

fn pipeline(model: &ModelSpec) -> u64 {
    u64::from(model.pipeline_parallel.unwrap_or(1)).max(1)
}

/// `ModelConfig.verify_with_parallel_config`, and the assertion on KV heads in each attention layer.
fn heads(
    name: &Name,
    model: &ModelSpec,
    shape: &Shape<'_>,
    origin: &FieldPath,
) -> Option<Diagnostic> {
    let tensor = tensor(model);
    let (heads, what) = match shape.kv_heads {
        _ if !shape.heads.is_multiple_of(tensor) => (shape.heads, "attention heads"),
        Some(kv) if !kv.is_multiple_of(tensor) && !tensor.is_multiple_of(kv) => (kv, "KV heads"),
        _ => return None,
    };
    let finding = Diagnostic::error(
        Code("E0431"),
        format!("{heads} {what} of `{name}` cannot be divided among {tensor} GPUs"),
    )
    .at(
        Place::Value(origin.key("tensor_parallel")),
        format!("{heads} is no multiple of {tensor}"),
    )
    .see(
        Place::Value(origin.key("model")),
        format!("{} says {heads}", shape.from),
    )
    .help(
        "vLLM refuses to start; what does not divide can be more replicas, or `pipeline_parallel`",
    );
    let fits = |size: &u64| {
        shape.heads.is_multiple_of(*size)
            && shape
                .kv_heads
                .is_none_or(|kv| kv.is_multiple_of(*size) || size.is_multiple_of(kv))
    };
    let below = (1..tensor).rev().find(fits);
    Some(match below {
        Some(size) => finding.fix(Fix {
            title: format!("divide among {size}"),
            place: Place::Value(origin.key("tensor_parallel")),
            replacement: size.to_string(),
            applicability: Applicability::Guess,
        }),
        None => finding,
    })
}

/// vLLM's own advice: one server for each replica, but for mixtures of experts.
fn layout(model: &ModelSpec, shape: Option<&Shape<'_>>, origin: &FieldPath) -> Option<Diagnostic> {
    let dense = match (shape, recipes::recipe(&model.model)) {
        (Some(shape), _) => !shape.experts,
        (None, Some(recipe)) => recipe.arch == "dense",
        (None, None) => false,
    };
    if model.layout != Some(Layout::VllmDp) || !dense {
        return None;
    }
    Some(
        Diagnostic::warning(
            Code("W0435"),
            "one server for all replicas of a model that is no mixture of experts",
        )
        .at(
            Place::Value(origin.key("layout")),
            "one engine that dies takes all of them with it",
        )
        .fix(Fix {
            title: "start a server for each replica".to_owned(),
            place: Place::Value(origin.key("layout")),
            replacement: "replicas".to_owned(),
            applicability: Applicability::Sure,
        })
        .help("vLLM's documentation recommends independent servers for dense models; data parallelism inside a server divides experts"),
    )
}

/// The memory of one GPU, and what of it the server may take.
struct Budget {
    /// What the YAML calls the GPU.
    card: String,
    /// Where it says so.
    path: FieldPath,
    /// GiB of one.
    total: f64,
    /// The share, and whether it is written.
    share: f64,
    written: bool,
}

impl Budget {
    fn gib(&self) -> f64 {
        self.total * self.share
    }

    fn words(&self) -> String {
        format!(
            "{:.1} GiB × {} = {:.1} GiB",
            self.total,
            self.share,
            self.gib()
        )
    }
}

/// That of the smallest GPUs that the model runs on.
fn budget(ctx: &Ctx<'_>, name: &Name, model: &ModelSpec) -> Option<Budget> {
    let root = FieldPath::root();
    let of = |node: &str| {
        let own = ctx
            .spec
            .nodes
            .get(node)
            .map(|found| ("nodes", found.gpu.clone()));
        let pool = ctx
            .spec
            .pools
            .get(node)
            .map(|found| ("pools", found.gpu.clone()));
        let (kind, card) = own.or(pool)?;
        let card = card?;
        let mib = gpus::memory_mib(&card)?;
        Some((mib, card, root.key(kind).key(node).key("gpu")))
    };
    let all: Option<Vec<_>> = model.node.0.iter().map(|node| of(node.as_str())).collect();
    let (mib, card, path) = all?.into_iter().min_by_key(|(mib, ..)| *mib)?;
    let release = inherit::release(ctx.spec, name).unwrap_or(Release::new(0, 12, 0));
    let share = model.gpu_memory_utilization;
    Some(Budget {
        card,
        path,
        total: f64::from(mib) / 1024.0,
        share: share.unwrap_or_else(|| default_utilization(release)),
        written: share.is_some(),
    })
}

fn flag<'a>(model: &'a ModelSpec, long: &str) -> Option<&'a serde_json::Value> {
    let (_, value) = model
        .args
        .iter()
        .find(|(flag, _)| canonical(flag) == long)?;
    Some(value)
}

/// Flags that put weights or cache somewhere else, or change how much they are.
const OTHERWISE: [&str; 6] = [
    "--cpu-offload-gb",
    "--kv-cache-memory-bytes",
    "--num-gpu-blocks-override",
    "--hf-overrides",
    "--hf-config-path",
    "--decode-context-parallel-size",
];

/// Bytes of one value of the cache; none where that is another kind of cache.
fn element_bytes(model: &ModelSpec) -> Option<u64> {
    match flag(model, "--kv-cache-dtype").map(|kind| kind.as_str().unwrap_or_default()) {
        None | Some("auto" | "bfloat16" | "float16" | "half") => Some(2),
        Some(kind) if kind.starts_with("fp8") => Some(1),
        Some(_) => None,
    }
}

fn gib(bytes: u64) -> f64 {
    float(bytes) / GIB
}

fn memory(
    ctx: &Ctx<'_>,
    name: &Name,
    model: &ModelSpec,
    shape: &Shape<'_>,
    origin: &FieldPath,
) -> Option<Diagnostic> {
    if OTHERWISE.iter().any(|long| flag(model, long).is_some()) {
        return None;
    }
    let budget = budget(ctx, name, model)?;
    let ranks = match model.layout {
        Some(Layout::VllmDp) if shape.experts => u64::from(model.replicas.unwrap_or(1)).max(1),
        _ => 1,
    };
    let cards = tensor(model) * pipeline(model) * ranks;
    // Weights that are made smaller as they are loaded.
    let smaller = flag(model, "--quantization").is_some();
    let bytes = shape.weights? / if smaller { 4 } else { 1 };
    let weights = gib(bytes / cards);
    let count = Count {
        name,
        model,
        shape,
        origin,
        budget: &budget,
        cards,
        weights,
        all: gib(bytes),
    };
    if weights > budget.gib() {
        return Some(count.too_heavy());
    }
    let (tokens, certain) = context::tokens(ctx, name, model)?;
    let each = shape.kv_bytes(element_bytes(model)?, tensor(model), pipeline(model));
    let cache = gib(each.saturating_mul(tokens));
    if weights + cache > budget.gib() {
        return Some(count.no_room(tokens, certain, each, cache));
    }
    let left = budget.gib() - weights - cache;
    (shape.counted && left < LEFT_GIB).then(|| count.little(tokens, cache, left))
}

/// What activations and CUDA graphs take at least of a large model: 2 GiB were measured for Qwen3-32B-FP8.
const LEFT_GIB: f64 = 2.0;

/// What the messages reckon with.
struct Count<'a> {
    name: &'a Name,
    model: &'a ModelSpec,
    shape: &'a Shape<'a>,
    origin: &'a FieldPath,
    budget: &'a Budget,
    cards: u64,
    /// GiB of weights on one GPU, and of all.
    weights: f64,
    all: f64,
}

impl Count<'_> {
    fn weights(&self) -> String {
        let about = if self.shape.counted { "" } else { "at least " };
        match self.cards {
            1 => format!("{about}{:.1} GiB of weights", self.all),
            cards => format!(
                "{about}{:.1} GiB of weights / {cards} GPUs = {:.1} GiB",
                self.all, self.weights
            ),
        }
    }

    fn budgeted(&self, finding: Diagnostic) -> Diagnostic {
        let Budget { card, path, .. } = self.budget;
        let finding = finding.see(
            Place::Value(path.clone()),
            format!("{card}: {}", self.budget.words()),
        );
        if self.budget.written {
            let place = Place::Value(self.origin.key("gpu_memory_utilization"));
            finding.see(place, "the share that the server may take")
        } else {
            finding
        }
    }

    fn too_heavy(&self) -> Diagnostic {
        let finding = Diagnostic::error(
            Code("E0433"),
            format!("the weights of `{}` do not fit its GPUs", self.name),
        )
        .at(Place::Value(self.origin.key("model")), self.weights());
        let finding = self.budgeted(finding);
        match self.larger() {
            Some(size) => finding.help(format!(
                "`tensor_parallel: {size}` gives {:.1} GiB to each GPU",
                self.weights * self.tensor() / float(size)
            )),
            None => finding.help("divide it over more GPUs, or take a smaller or quantized model"),
        }
    }

    fn tensor(&self) -> f64 {
        float(tensor(self.model))
    }

    /// The next power of two that divides the heads and makes the weights fit, a fifth left for the cache.
    fn larger(&self) -> Option<u64> {
        let sizes = [2, 4, 8, 16, 32]
            .into_iter()
            .filter(|size| *size > tensor(self.model));
        let mut fitting = sizes.filter(|size| {
            let each = self.weights * self.tensor() / float(*size);
            self.shape.heads.is_multiple_of(*size) && each < 0.8 * self.budget.gib()
        });
        fitting.next()
    }

    fn no_room(&self, tokens: u64, certain: bool, each: u64, cache: f64) -> Diagnostic {
        let room = (self.budget.gib() - self.weights).max(0.0) * GIB / float(each.max(1));
        let (place, whose) = match self.model.max_model_len {
            Some(_) => (
                Place::Value(self.origin.key("max_model_len")),
                "one request of",
            ),
            None => (
                Place::Value(self.origin.key("model")),
                "one request of its own length,",
            ),
        };
        let title = format!(
            "no GPU memory is left for one full request to `{}`",
            self.name
        );
        let finding = if certain {
            Diagnostic::error(Code("E0434"), title)
        } else {
            Diagnostic::warning(Code("W0434"), title)
        };
        let finding = finding.at(
            place,
            format!("{whose} {tokens} tokens × {each} bytes = {cache:.1} GiB of cache"),
        );
        let finding = self.budgeted(finding);
        finding.help(format!(
            "{}; with the cache {:.1} GiB: less than {} tokens fit: set `max_model_len`, or divide the model over more GPUs",
            self.weights(),
            self.weights + cache,
            rounded(room),
        ))
    }

    fn little(&self, tokens: u64, cache: f64, left: f64) -> Diagnostic {
        let finding = Diagnostic::note(
            Code("N0436"),
            format!(
                "{left:.1} GiB of GPU memory are left beside weights and one full request to `{}`",
                self.name
            ),
        )
        .at(
            Place::Value(self.origin.key("model")),
            format!(
                "{} + {cache:.1} GiB of cache for {tokens} tokens",
                self.weights()
            ),
        );
        self.budgeted(finding)
            .help("activations and CUDA graphs come out of it: it may not start, and it will serve few requests at once")
    }
}

/// Whole thousands.
fn rounded(tokens: f64) -> u64 {
    1000 * ceil::<u64>(tokens / 1000.0)
}
