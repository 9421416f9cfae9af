//! What becomes of a cluster.

use super::{Rehearsal, Wish, name_of, rehearse};
use crate::base::ClusterName;
use crate::facts::{Facts, Known, PathKind};
use crate::plan::{Plan, plan};
use crate::spec::model::{ClusterSpec, Engine};
use crate::spec::{Source, parse};

const HLE_OSS: &str = include_str!("../../../clusters/hle-oss.yaml");
const SITE: &str = "/home/user/ToolOrchestra/evaluation";

fn spec(yaml: &str) -> ClusterSpec {
    let parsed = parse(Source::new("c.yaml", yaml.as_bytes()), &[]);
    assert_eq!(parsed.diagnostics, []);
    parsed.spec.unwrap()
}

/// A laptop that has nothing of the site.
fn laptop() -> Facts {
    let mut facts = Facts {
        exe: "/bin/toolorch".to_owned(),
        yaml_dir: "/yaml".to_owned(),
        home: Known::Known("/home/user".to_owned()),
        ..Facts::default()
    };
    for path in [SITE, "/ckpt/nvidia/Nemotron-Orchestrator-8B/"] {
        facts
            .paths
            .insert(path.to_owned(), Known::Known(PathKind::Absent));
    }
    facts
        .programs
        .insert("python3".to_owned(), Some("/usr/bin/python3".to_owned()));
    facts
}

fn wish() -> Wish {
    Wish {
        folder: "/r".to_owned(),
        speed: 60.0,
        head: None,
    }
}

fn played(yaml: &str, facts: &Facts) -> (Rehearsal, Plan) {
    let rehearsal = rehearse(&spec(yaml), facts, &wish());
    let (plan, _) = plan(&rehearsal.spec, facts);
    (rehearsal, plan)
}

#[test]
fn the_cluster_of_the_log_on_a_laptop() {
    let (rehearsal, plan) = played(HLE_OSS, &laptop());
    let rows: Vec<String> = rehearsal
        .replaced
        .iter()
        .map(|row| {
            format!(
                "{} | {} | {}",
                row.what,
                row.by,
                row.why.as_deref().unwrap_or("-")
            )
        })
        .collect();
    insta::assert_snapshot!(rows.join("\n"), @r"
        5 nodes | 127.0.31.221 to 127.0.31.225 | every server keeps its port
        orchestrator, coder, answer, search | the simulated vLLM | -
        /ckpt/nvidia/Nemotron-Orchestrator-8B/ | a stub folder | it is not on this machine; its context length is taken to be enough
        retrieval | a stand-in | it asks for GPUs
        wiki_retrieval | a stand-in | it asks for GPUs
        judge | a stand-in for https://api.openai.com/v1 | -
        hle | the built-in stand-in of its client | `/home/user/ToolOrchestra/evaluation` is not here
        the questions of hle | 1900 that are made up | `/home/user/ToolOrchestra/evaluation/hle.jsonl` is not here
        frames | the built-in stand-in of its client | `/home/user/ToolOrchestra/evaluation` is not here
        the questions of frames | 824 that are made up | `/home/user/ToolOrchestra/evaluation/frames.jsonl` is not here
        ");
    let words = |unit: &str| {
        let unit = plan
            .units
            .iter()
            .find(|one| one.id.as_str() == unit)
            .unwrap();
        format!("{}: {}", unit.id, unit.argv.join(" "))
    };
    let units = [
        "orchestrator-0",
        "search-3",
        "retrieval",
        "outside",
        "outside-judge",
        "eval-hle",
    ];
    insta::assert_snapshot!(units.map(words).join("\n"), @r"
        orchestrator-0: /bin/toolorch sim vllm serve /r/models/ckpt/nvidia/Nemotron-Orchestrator-8B/ --host 127.0.31.221 --port 1800 --gpu-memory-utilization 0.85 --enable-auto-tool-choice --tool-call-parser hermes
        search-3: /bin/toolorch sim vllm serve openai/gpt-oss-20b --host 127.0.31.225 --port 1843 --gpu-memory-utilization 0.9 --enable-auto-tool-choice --tool-call-parser openai
        retrieval: /bin/toolorch sim service --host 127.0.31.224 --port 8765 --name retrieval --cold 8s --cold-requests 100 --latency 200ms --tokens 300
        outside: /bin/toolorch sim proxy --host 127.0.31.220 --port 8100 --log /r/outside.jsonl
        outside-judge: /bin/toolorch sim service --host 127.0.31.220 --port 8101 --name judge --model gpt-5 --latency 2s
        eval-hle: /bin/toolorch client toolorchestra hle --model_name /r/models/ckpt/nvidia/Nemotron-Orchestrator-8B/ --output_dir /r/results/hle --model_config /r/config/default/model_config_oss_new.json --example_path /r/questions/hle.jsonl --concurrency 64 --max_rounds 50
        ");
}

#[test]
fn nothing_of_it_leaves_this_machine() {
    let (rehearsal, plan) = played(HLE_OSS, &laptop());
    for unit in &plan.units {
        let own = unit.address == "localhost" || unit.address.starts_with("127.0.");
        assert!(own, "{} at {}", unit.id, unit.address);
    }
    assert!(plan.jobs.is_empty());
    for external in &plan.externals {
        assert!(
            external.url.starts_with("http://127.0."),
            "{}",
            external.url
        );
    }
    let client = plan
        .units
        .iter()
        .find(|unit| unit.id.as_str() == "eval-hle")
        .unwrap();
    let set = &client.env.set;
    assert_eq!(set["OPENAI_API_KEY"], "rehearsal");
    assert!(set["OPENAI_BASE_URL"].starts_with("http://127.0."));
    assert!(set["HTTPS_PROXY"].starts_with("http://127.0."));
    assert!(!client.env.pass.contains(&"OPENAI_API_KEY".to_owned()));
    assert_eq!(set["TOOL_ORCH_CALL_TIMEOUT_S"], "450");
    assert!(rehearsal.report.is_empty());
}

#[test]
fn everything_is_written_in_its_folder() {
    let (rehearsal, plan) = played(HLE_OSS, &laptop());
    let props = rehearsal.props.iter().map(super::Prop::path);
    let configs = plan.configs.iter().map(|config| config.path.as_str());
    let results = plan
        .units
        .iter()
        .filter_map(|unit| unit.results_dir.as_deref());
    for path in props.chain(configs).chain(results) {
        assert!(path == "/r" || path.starts_with("/r/"), "{path}");
    }
}

#[test]
fn servers_keep_their_ports_and_their_names() {
    let (_, plan) = played(HLE_OSS, &laptop());
    let (real, _) = crate::plan::plan(&spec(HLE_OSS), &laptop());
    for unit in real.servers() {
        let here = plan.unit(&unit.id).unwrap();
        assert_eq!(here.port, unit.port, "{}", unit.id);
    }
    let replicas = |plan: &Plan| plan.groups[0].endpoints.len();
    assert_eq!(replicas(&plan), replicas(&real));
}

#[test]
fn a_pool_becomes_as_many_places_as_it_has_nodes() {
    let yaml = "version: 1\nname: a\nslurm: { time: \"1:00:00\" }\n\
                pools: { p: { nodes: 2, gpus: 8, gpu: A100-80GB } }\n\
                models: { m: { model: Qwen/Qwen3-8B, node: p, replicas: 4 } }\n";
    let (rehearsal, plan) = played(yaml, &laptop());
    assert!(rehearsal.spec.pools.is_empty());
    let mut places: Vec<&str> = plan
        .units
        .iter()
        .map(|unit| unit.address.as_str())
        .collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 3, "two nodes and the stand-ins: {places:?}");
}

#[test]
fn what_is_said_is_not_assumed() {
    let yaml = "version: 1\nname: a\nnodes: { n: { gpus: 1, gpu: H100-80GB } }\n\
                sim: { prefill_rate: 1000, answer_tokens: 7 }\n\
                models: { m: { model: Qwen/Qwen3-8B, node: n, sim: { decode_rate: 11 } } }\n";
    let (rehearsal, _) = played(yaml, &laptop());
    assert_eq!(rehearsal.assumed, []);
    let model = &rehearsal.spec.models["m"];
    let sim = model.sim.as_ref().unwrap();
    assert_eq!((sim.prefill_rate, sim.decode_rate), (None, Some(11.0)));
    assert_eq!(model.engine, Some(Engine::Sim));
    assert_eq!(rehearsal.spec.sim.as_ref().unwrap().speed, Some(60.0));
}

#[test]
fn a_client_that_is_not_here_and_has_no_stand_in_is_refused() {
    let yaml = "version: 1\nname: a\nnodes: { n: { gpus: 1 } }\n\
                models: { m: { model: Qwen/Qwen3-8B, node: n } }\n\
                evals: { e: { cwd: /home/user/ToolOrchestra/evaluation, command: [python3, mine.py], \
                dataset: q.jsonl, results: out } }\n";
    let (rehearsal, _) = played(yaml, &laptop());
    let titles: Vec<&str> = rehearsal
        .report
        .iter()
        .map(|one| one.title.as_str())
        .collect();
    insta::assert_snapshot!(titles.join("\n"), @"the client of `e` cannot be rehearsed: `/home/user/ToolOrchestra/evaluation` is not here");
}

#[test]
fn places_that_a_command_writes_out_move_too() {
    let yaml = "version: 1\nname: a\nnodes: { n: { gpus: 1 } }\n\
                evals: { e: { command: [python3, c.py, outlit/, /yaml/q.jsonl, q.jsonl, other], \
                dataset: q.jsonl, results: outlit } }\n";
    let (_, plan) = played(yaml, &laptop());
    let argv = &plan.unit(&"eval-e".into()).unwrap().argv;
    let questions = "/r/questions/e.jsonl";
    let expected = [
        "python3",
        "c.py",
        "/r/results/e",
        questions,
        questions,
        "other",
    ];
    assert_eq!(argv, &expected);
}

#[test]
fn a_service_that_can_run_here_does() {
    let yaml = "version: 1\nname: a\nnodes: { n: { gpus: 1 } }\n\
                services: { s: { node: n, command: [python3, s.py, \"{port}\"], env: { set: { A: b } } }, \
                t: { node: n, command: [there-is-none, \"{port}\"] } }\n";
    let mut facts = laptop();
    facts.programs.insert("there-is-none".to_owned(), None);
    let (rehearsal, plan) = played(yaml, &facts);
    let argv = |unit: &str| plan.unit(&unit.into()).unwrap().argv.join(" ");
    assert!(argv("s").starts_with("python3 s.py "));
    assert!(argv("t").starts_with("/bin/toolorch sim service "));
    let why: Vec<_> = rehearsal
        .replaced
        .iter()
        .filter(|row| row.what == "t")
        .collect();
    assert_eq!(
        why[0].why.as_deref(),
        Some("there is no program `there-is-none` here")
    );
}

#[test]
fn a_long_name_stays_a_name() {
    let long = ClusterName::new("a".repeat(63));
    assert_eq!(name_of(&long).as_str().len(), 63);
    let other = ClusterName::new(format!("{}b", "a".repeat(62)));
    assert_ne!(name_of(&long), name_of(&other));
    assert_eq!(
        name_of(&ClusterName::from("hle-oss")).as_str(),
        "hle-oss-rehearsal"
    );
}
