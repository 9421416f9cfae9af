//! The quickstart as its reader runs it.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::Scene;

/// What stays of plain lines when times, places and what depends on luck are taken away.
fn settled(scene: &Scene, text: &str) -> String {
    let place = scene.path("").to_string_lossy().into_owned();
    let clock = regex_lite::Regex::new(r"(?m)^\d\d:\d\d:\d\d ").unwrap();
    let length = regex_lite::Regex::new(r"\b\d+(\.\d+)?(ms|s)\b|\b\d+\.\d s\b").unwrap();
    let owner = regex_lite::Regex::new(r"-1-[0-9a-f]{4}|watched by .*").unwrap();
    let right = regex_lite::Regex::new(r"\d+ correct").unwrap();
    let text = text.replace(&place, "PLACE/");
    let text = clock.replace_all(&text, "");
    let text = length.replace_all(&text, "TIME");
    let text = owner.replace_all(&text, "OURS");
    let text = right.replace_all(&text, "N correct");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // How often progress was told depends on the machine.
    lines.retain(|line| {
        !line.starts_with("arithmetic ") || !line.contains('/') || line.contains('·')
    });
    let (table, _) = lines
        .iter()
        .enumerate()
        .find(|(_, line)| line.starts_with("nothing of this run "))
        .unwrap();
    lines.truncate(table);
    // Those that come at the same time come in any order.
    for group in lines.chunk_by_mut(|a, b| kind(a) == kind(b)) {
        if matches!(kind(&group[0]), "ready" | "stopped") {
            group.sort();
        }
    }
    lines.join("\n")
}

fn kind(line: &str) -> &str {
    line.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn it_runs_then_has_nothing_to_do_and_leaves_nothing() {
    let scene = Scene::quickstart(200);
    let said = scene.expect(0, &["up", "quickstart.yaml"]);
    let balanced = said.out.lines().filter(|line| line.ends_with("  balanced"));
    assert_eq!(balanced.count(), 2, "{}", said.out);
    assert!(said.out.contains("calls of `arithmetic` were sampled: "));
    insta::assert_snapshot!(settled(&scene, &said.err), @r"
    run quickstartOURS of quickstart began, toolorch 0.1.0
    OURS
    expert-0 ready after TIME
    expert-1 ready after TIME
    judge ready after TIME
    orchestrator-0 ready after TIME
    orchestrator-1 ready after TIME
    retrieval ready after TIME
    client config with 6 endpoints written to PLACE/quickstart/out/model_config.json
    eval-arithmetic ended with code 0: 200 questions, 0 without a result, TIME
    arithmetic complete
    expert-0 stopped
    expert-1 stopped
    judge stopped
    orchestrator-0 stopped
    orchestrator-1 stopped
    retrieval stopped
    run ended, exit 0: arithmetic: complete
    arithmetic  complete · 200/200 (100 %) · N correct
    ");
    assert!(said.took < Duration::from_secs(30), "{:?}", said.took);
    assert!(
        said.err.contains("nothing of this run is left running"),
        "{}",
        said.err
    );
    let next = format!("tables: toolorch report {}\n", scene.runs()[0]);
    assert!(said.err.contains(&next), "{}", said.err);
    assert_eq!(scene.results("quickstart/out/results"), 200);
    scene.assert_nothing_left();

    let journal = scene.journal("quickstart");
    let again = scene.expect(0, &["up", "quickstart.yaml"]);
    assert!(again.took < Duration::from_secs(1), "{:?}", again.took);
    assert_eq!(
        again.err,
        "every question has its result already: nothing was started\n"
    );
    assert!(
        again.out.starts_with("evaluation  total  done "),
        "{}",
        again.out
    );
    assert_eq!(
        again.out, said.out,
        "data goes to standard output, and stays what it is"
    );
    let status = scene.expect(0, &["status", "quickstart.yaml"]);
    assert!(status.out.ends_with(&next), "{}", status.out);
    assert_eq!(
        scene.journal("quickstart"),
        journal,
        "the second run is no run"
    );
    assert_eq!(scene.runs().len(), 1);
    assert_reported(&scene);
    scene.assert_nothing_left();
}

/// Without GPUs there is nothing to move.
fn assert_asked(scene: &Scene) {
    let step = ["what-if", "quickstart.yaml", "--move"];
    let refused = scene.expect(2, &[&step[..], &["1 expert:orchestrator"]].concat());
    let words = refused.err.replace(&scene.runs()[0], "RUN");
    insta::assert_snapshot!(words, @"error: run `RUN`: move 1 GPU from expert to orchestrator: none of its models has GPUs, so that there is nothing to move: ask of a run on GPUs, or of a rehearsal of a cluster that has them (toolorch rehearse CLUSTER.yaml)");
    let words = [
        "what-if",
        "--move",
        "1",
        "expert:orchestrator",
        "quickstart",
    ];
    assert_eq!(scene.expect(2, &words).err, refused.err);
    let bare = [
        "what-if",
        "quickstart/out/results",
        "--move",
        "1 expert:orchestrator",
    ];
    let refused = scene.expect(2, &bare);
    insta::assert_snapshot!(refused.err, @r"
    error: nothing can be moved in `quickstart/out/results`: results tell how long calls took, and nothing of the GPUs behind them
    help: name the run that made them, or its cluster; `toolorch report quickstart/out/results` says what the results tell; what a cluster would do a rehearsal shows: toolorch rehearse CLUSTER.yaml
    ");
    let refused = scene.expect(2, &[&step[..], &["expert"]].concat());
    assert!(
        refused.err.contains("`2 coder:orchestrator`"),
        "{}",
        refused.err
    );
}

/// A run is known by its folder also where another home is used, and a page remembers its bars.
fn assert_known_by_its_folder(scene: &Scene, folder: &Path, said: &str) {
    let folder = folder.to_str().unwrap();
    let mut elsewhere = scene.toolorch(&["report", folder]);
    elsewhere.env("TOOLORCH_HOME", scene.path("another"));
    assert_eq!(scene.go(elsewhere).end().out, said);
    let page = scene.expect(0, &["report", folder, "--format", "html", "--bins", "7"]);
    assert!(page.out.starts_with("<!doctype html>"), "{}", page.out);
    scene.expect(0, &["report", folder, "--check"]);
    scene.expect(3, &["report", folder, "--check", "--bins", "8"]);
}

/// What no report of some seconds without a GPU may say.
const ODD: [&str; 6] = [
    "GPU h",
    "GPU s",
    "a question\n",
    "0.00 h",
    " 0ms",
    "an hour",
];

/// What `report` tells of this run, by its YAML, its name, its folder, and by its results alone.
fn assert_reported(scene: &Scene) {
    let said = scene.expect(0, &["report", "quickstart.yaml"]);
    let place = scene.path("home/runs/quickstart/latest/report");
    let kept = |name: &str| std::fs::read_to_string(place.join(name)).unwrap();
    let report: Value = serde_json::from_str(&kept("report.json")).unwrap();
    assert_eq!(report["subject"]["ended"], 0);
    let run = report["subject"]["run"].as_str().unwrap();
    let first = format!("run `{run}` of `quickstart`: ended, as of ");
    assert!(said.out.starts_with(&first), "{}", said.out);

    let page = kept("report.html");
    let names = ["orchestrator", "expert", "retrieval", "judge"];
    for name in names {
        let heading = format!("</i>{name} <small>");
        assert!(page.contains(&heading), "{name}");
    }

    let found = &report["evaluations"][0];
    assert_eq!(found["name"], "arithmetic");
    assert_eq!(found["accuracy"]["questions"], 200);
    assert_eq!(found["accuracy"]["missing"], 0);
    assert_eq!(found["rounds"]["questions"], 200);
    assert_eq!(found["unsaid"], serde_json::json!([]));
    let tools = found["tools"].as_array().unwrap().iter();
    let tools: Vec<String> = tools
        .map(|row| format!("{} {}", row["tool"], row["coverage"]["used"]))
        .collect();
    assert_eq!(
        tools,
        [r#""search" 200"#, r#""ask_expert" 200"#, r#""judge" 200"#]
    );
    assert_eq!(found["orchestrator"]["source"], "results");
    assert_eq!(found["orchestrator"]["row"]["coverage"]["used"], 600);
    let replicas = found["servers"].as_array().unwrap().iter();
    let replicas = replicas.filter(|row| row["replica"].is_string()).count();
    assert_eq!(replicas, 6);

    // Seven seconds are enough for the last sample, which has all that was counted.
    let own = found["server_times"].as_array().unwrap().iter();
    let own: Vec<String> = own
        .filter(|row| row["replica"].is_null())
        .map(|row| row["model"].to_string())
        .collect();
    assert_eq!(
        own,
        [
            r#""nvidia/Nemotron-Orchestrator-8B""#,
            r#""Qwen/Qwen3-32B-FP8""#
        ]
    );
    let judged = &report["judgements"][0];
    assert_eq!(judged["evaluation"], "arithmetic");
    assert_eq!(judged["analysis"]["advice"]["is"], "nothing");
    assert_eq!(judged["analysis"]["eta"]["is"], "done");
    // It is over before servers are sampled a second time in its midst: what they counted from its begin to its end is known.
    assert_ne!(judged["analysis"]["limit"]["is"], "unknown");
    for model in 0..2 {
        let class = &judged["analysis"]["classes"][model];
        assert!(class["measured"]["running"].as_f64() > Some(0.0), "{class}");
        assert_ne!(class["verdict"], "unknown", "{class}");
    }
    for odd in ODD {
        assert!(!said.out.contains(odd), "{odd}: {}", said.out);
    }
    assert_asked(scene);

    let folder = std::fs::canonicalize(place.parent().unwrap()).unwrap();
    for word in [run, "quickstart", folder.to_str().unwrap()] {
        let same = scene.expect(0, &["report", word]);
        assert_eq!(same.out, said.out, "{word}");
        scene.expect(0, &["report", word, "--check"]);
    }
    assert_known_by_its_folder(scene, &folder, &said.out);
    let alone = scene.expect(0, &["report", "quickstart/out/results"]);
    assert!(
        alone
            .out
            .starts_with("results in `quickstart/out/results`\n")
    );
    assert!(alone.out.contains("--dataset FILE"), "{}", alone.out);

    let refused = scene.expect(2, &["report", "quickstart.yaml", "--dataset", "x"]);
    let words = refused.err.replace(run, "RUN");
    insta::assert_snapshot!(words, @r"
    error: `--dataset` means nothing for the run `RUN`, whose plan says it
    help: name the folder of its results instead of the run to read them another way
    ");
    std::fs::write(place.join("report.md"), "better numbers").unwrap();
    let refused = scene.expect(3, &["report", "quickstart.yaml", "--check"]);
    let words = "report.md` is not what would be written now";
    assert!(refused.err.contains(words), "{}", refused.err);

    // What an earlier report advised and this one does not is not left for the next run.
    let stale = place.join("prediction-arithmetic.json");
    std::fs::write(&stale, "{}").unwrap();
    let refused = scene.expect(3, &["report", "quickstart.yaml", "--check"]);
    let words = "prediction-arithmetic.json` predicts what this report does not advise";
    assert!(refused.err.contains(words), "{}", refused.err);
    scene.expect(0, &["report", "quickstart.yaml"]);
    assert!(!stale.exists());

    if Path::new("/usr/share/zoneinfo/Asia/Tokyo").exists() {
        let mut tokyo = scene.toolorch(&["report", "quickstart.yaml"]);
        let made = tokyo.env("TZ", "Asia/Tokyo").output().unwrap();
        assert!(made.status.success());
        assert!(kept("report.html").contains("(Asia/Tokyo)"));
    }
}

#[test]
fn it_runs_in_tmux_and_tells_its_events_as_json() {
    let scene = Scene::quickstart(40);
    let args = [
        "up",
        "quickstart.yaml",
        "--set",
        "launcher=tmux",
        "--events",
        "json",
    ];
    let said = scene.expect(0, &args);
    assert_eq!(scene.results("quickstart/out/results"), 40);
    let events: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    assert_eq!(
        events.len(),
        scene.journal("quickstart").len(),
        "each line of the journal is told"
    );
    let launchers: Vec<&Value> = events
        .iter()
        .filter(|event| event["event"]["kind"] == "launched")
        .map(|event| &event["event"]["handle"]["launcher"])
        .collect();
    assert_eq!(launchers.len(), 7, "{launchers:?}");
    assert_eq!(
        launchers
            .iter()
            .filter(|launcher| **launcher == "tmux")
            .count(),
        6,
        "{launchers:?}"
    );
    scene.assert_nothing_left();
}
