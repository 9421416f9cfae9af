//! Which files of a repository a server loads: what it would download by itself, and nothing else.
//!
//! As `vllm/model_executor/model_loader` of 0.12 to 0.32 chooses weights: `default_loader.py`, `weight_utils.py`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::facts::{Listing, RepoFile};

/// The index of a model in several files.
const INDEX: &str = "model.safetensors.index.json";
/// And of its older form.
const BIN_INDEX: &str = "pytorch_model.bin.index.json";
/// What servers leave out by default.
const ORIGINAL: &str = "original/";
/// Formats of weights: of them a server reads one.
const WEIGHTS: &[&str] = &[
    "safetensors",
    "bin",
    "pt",
    "pth",
    "gguf",
    "ggml",
    "onnx",
    "onnx_data",
    "msgpack",
    "h5",
    "ot",
    "tflite",
    "mlmodel",
    "ckpt",
    "nemo",
    "llamafile",
    "npz",
];
/// What only people look at.
const PICTURES: &[&str] = &[
    "png", "jpg", "jpeg", "gif", "webp", "svg", "pdf", "mp4", "webm",
];

/// Which weights a server reads: its `--load-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Load {
    /// Mistral's own files where there are some, else the usual ones.
    Auto,
    /// The usual ones: safetensors, else pickles.
    Hf,
    /// safetensors alone.
    Safetensors,
    /// Mistral's own: `consolidated*.safetensors`.
    Mistral,
    /// `*.pt`.
    Pt,
    /// `*.bin`.
    Bin,
    /// None: random ones.
    Dummy,
}

impl Load {
    /// Of the word that follows `--load-format`; other words read what `auto` reads.
    pub fn of(word: &str) -> Self {
        match word {
            "hf" => Self::Hf,
            "safetensors" | "fastsafetensors" | "instanttensor" => Self::Safetensors,
            "mistral" => Self::Mistral,
            "pt" => Self::Pt,
            "npcache" => Self::Bin,
            "dummy" => Self::Dummy,
            _ => Self::Auto,
        }
    }
}

/// The names of the files that hold a model's weights, from its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index(BTreeSet<String>);

impl Index {
    /// Its name in the repository.
    pub const NAME: &str = INDEX;

    /// Reads an index; none where it is none.
    pub fn read(text: &str) -> Option<Self> {
        let index: Value = serde_json::from_str(text).ok()?;
        let files = index["weight_map"].as_object()?.values();
        Some(Self(
            files
                .filter_map(|file| Some(file.as_str()?.to_owned()))
                .collect(),
        ))
    }
}

/// What a server loads of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<'a> {
    /// These files.
    Files(Vec<&'a RepoFile>),
    /// Only the index tells which of them.
    NeedsIndex(&'a RepoFile),
    /// It has no weights of a kind that is read.
    NoWeights,
}

/// Chooses the files that a server reads; `by_index` where its release leaves out what the index does not name.
pub fn choose<'a>(
    listing: &'a Listing,
    load: Load,
    by_index: bool,
    index: Option<&Index>,
) -> Choice<'a> {
    let files = || {
        let all = listing.files.iter();
        all.filter(|file| !file.path.starts_with(ORIGINAL))
    };
    let Some(mut weights) = weights(files, load) else {
        return Choice::NoWeights;
    };
    let indexed = files().find(|file| file.path == INDEX);
    if let Some(of_index) = indexed.filter(|_| by_index && load_is_usual(&weights)) {
        match index {
            Some(Index(named)) => weights.retain(|file| named.contains(&file.path)),
            None if weights.iter().all(|file| is_shard(&file.path)) => {}
            None => return Choice::NeedsIndex(of_index),
        }
    }
    let others = files().filter(|file| !has(&file.path, WEIGHTS) && !has(&file.path, PICTURES));
    // Small files first: whatever is wrong shows early.
    Choice::Files(others.chain(weights).collect())
}

fn load_is_usual(weights: &[&RepoFile]) -> bool {
    let usual =
        |file: &&RepoFile| has(&file.path, &["safetensors"]) && !is_consolidated(&file.path);
    weights.iter().any(usual)
}

/// The weights that a server of this kind reads; none where it would find none.
fn weights<'a, I>(files: impl Fn() -> I, load: Load) -> Option<Vec<&'a RepoFile>>
where
    I: Iterator<Item = &'a RepoFile>,
{
    let of = |endings: &[&str]| -> Option<Vec<&'a RepoFile>> {
        // Servers look for them at the top, and download what is below as well.
        let ending = endings.iter().find(|&&ending| {
            files().any(|file| !file.path.contains('/') && has(&file.path, &[ending]))
        })?;
        Some(files().filter(|file| has(&file.path, &[ending])).collect())
    };
    let consolidated =
        || -> Vec<&RepoFile> { files().filter(|file| is_consolidated(&file.path)).collect() };
    match load {
        Load::Dummy => Some(Vec::new()),
        Load::Pt => of(&["pt"]),
        Load::Bin => of(&["bin"]),
        Load::Safetensors => of(&["safetensors"]),
        Load::Mistral => Some(consolidated()).filter(|found| !found.is_empty()),
        Load::Auto if !consolidated().is_empty() => Some(consolidated()),
        Load::Auto | Load::Hf => of(&["safetensors", "bin", "pt"]),
    }
}

fn is_consolidated(path: &str) -> bool {
    path.starts_with("consolidated") && has(path, &["safetensors"])
}

/// `model-00001-of-00004.safetensors`: one of those that an index always names.
fn is_shard(path: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let middle = path
        .strip_prefix("model-")
        .and_then(|rest| rest.strip_suffix(".safetensors"));
    middle
        .and_then(|rest| rest.split_once("-of-"))
        .is_some_and(|(at, of)| number(at) && number(of))
}

fn has(path: &str, endings: &[&str]) -> bool {
    let ending = path
        .rsplit('/')
        .next()
        .and_then(|name| name.rsplit_once('.'));
    ending.is_some_and(|(_, ending)| endings.contains(&ending))
}

/// What a snapshot of which no list is known lacks, judged by the names in it and by its own indexes: nothing, where a
/// server can be expected to start from it.
pub fn lacks(
    names: &BTreeSet<String>,
    index: impl Fn(&str) -> Option<Index>,
    load: Load,
) -> Vec<String> {
    let mut missing = Vec::new();
    let any = |wanted: &[&str]| wanted.iter().any(|&name| names.contains(name));
    if !any(&["config.json", "params.json"]) {
        missing.push("config.json".to_owned());
    }
    let tokens = [
        "tokenizer.json",
        "tokenizer_config.json",
        "tokenizer.model",
        "tekken.json",
        "vocab.json",
    ];
    if !any(&tokens) {
        missing.push("a tokenizer".to_owned());
    }
    let own = names.iter().any(|name| is_consolidated(name)) && load == Load::Auto;
    let mut named = [INDEX, BIN_INDEX]
        .into_iter()
        .filter(|&name| !own && names.contains(name));
    match named.find_map(index) {
        Some(Index(named)) => {
            missing.extend(named.into_iter().filter(|name| !names.contains(name)));
        }
        None if load == Load::Dummy => {}
        None if names
            .iter()
            .any(|name| has(name, &["safetensors", "bin", "pt"])) => {}
        None => missing.push("weights".to_owned()),
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(files: &[&str]) -> Listing {
        let file = |path: &&str| RepoFile {
            path: (*path).to_owned(),
            size: 1,
            blob: "ff".to_owned(),
        };
        Listing {
            v: Listing::FORMAT,
            commit: "c".to_owned(),
            gated: false,
            files: files.iter().map(file).collect(),
        }
    }

    fn index(files: &[&str]) -> Index {
        let map: Vec<String> = files
            .iter()
            .map(|file| format!("\"{file}\":\"{file}\""))
            .collect();
        Index::read(&format!("{{\"weight_map\":{{{}}}}}", map.join(","))).unwrap()
    }

    /// What is chosen, in a line.
    fn chosen(files: &[&str], load: Load, by_index: bool, index: Option<&Index>) -> String {
        match choose(&listing(files), load, by_index, index) {
            Choice::Files(files) => files
                .iter()
                .map(|file| file.path.as_str())
                .collect::<Vec<_>>()
                .join(" "),
            Choice::NeedsIndex(file) => format!("needs {}", file.path),
            Choice::NoWeights => "no weights".to_owned(),
        }
    }

    #[test]
    fn one_format_of_weights_is_chosen() {
        let all = [
            "README.md",
            "a.gguf",
            "config.json",
            "model.safetensors",
            "onnx/model.onnx",
            "original/x.pth",
            "original/y.json",
            "pic.png",
            "pytorch_model.bin",
            "tokenizer.model",
            "w.pt",
        ];
        let small = "README.md config.json tokenizer.model";
        for (load, weights) in [
            (Load::Auto, " model.safetensors"),
            (Load::Hf, " model.safetensors"),
            (Load::Safetensors, " model.safetensors"),
            (Load::Bin, " pytorch_model.bin"),
            (Load::Pt, " w.pt"),
            (Load::Dummy, ""),
        ] {
            assert_eq!(
                chosen(&all, load, true, None),
                format!("{small}{weights}"),
                "{load:?}"
            );
        }
        assert_eq!(chosen(&all, Load::Mistral, true, None), "no weights");
        assert_eq!(
            chosen(&["config.json", "m.bin"], Load::Auto, true, None),
            "config.json m.bin"
        );
        assert_eq!(
            chosen(&["config.json", "m.gguf"], Load::Auto, true, None),
            "no weights"
        );
        assert_eq!(
            chosen(
                &["config.json", "sub/m.safetensors"],
                Load::Auto,
                true,
                None
            ),
            "no weights"
        );
    }

    #[test]
    fn mistral_s_own_files_come_first_unless_told_otherwise() {
        let all = [
            "config.json",
            "consolidated.safetensors",
            "model.safetensors",
        ];
        assert_eq!(
            chosen(&all, Load::Auto, false, None),
            "config.json consolidated.safetensors"
        );
        let both = "config.json consolidated.safetensors model.safetensors";
        assert_eq!(chosen(&all, Load::Hf, false, None), both);
    }

    #[test]
    fn an_index_is_asked_for_only_where_it_tells_something() {
        let shards = [
            "model-1-of-2.safetensors",
            "model-2-of-2.safetensors",
            INDEX,
        ];
        let all = format!("{INDEX} {} {}", shards[0], shards[1]);
        assert_eq!(chosen(&shards, Load::Auto, true, None), all);
        let more = [&shards[..], &["adapter/a.safetensors"]].concat();
        assert_eq!(
            chosen(&more, Load::Auto, true, None),
            format!("needs {INDEX}")
        );
        let index = index(&shards[..2]);
        assert_eq!(chosen(&more, Load::Auto, true, Some(&index)), all);
        assert_eq!(
            chosen(&more, Load::Auto, false, None),
            format!("{all} adapter/a.safetensors")
        );
    }

    #[test]
    fn a_snapshot_is_judged_by_what_is_in_it() {
        let lacking = |names: &[&str], named: Option<&[&str]>| {
            let names = names.iter().map(|&name| name.to_owned()).collect();
            lacks(&names, |_| named.map(index), Load::Auto).join(", ")
        };
        assert_eq!(lacking(&[], None), "config.json, a tokenizer, weights");
        let small = ["config.json", "tokenizer.json"];
        assert_eq!(
            lacking(&[&small[..], &["m.safetensors"]].concat(), None),
            ""
        );
        let sharded = [&small[..], &[INDEX, "a.safetensors"]].concat();
        let two = ["a.safetensors", "b.safetensors"];
        assert_eq!(lacking(&sharded, Some(&two)), "b.safetensors");
        assert_eq!(lacking(&sharded, Some(&two[..1])), "");
    }
}
