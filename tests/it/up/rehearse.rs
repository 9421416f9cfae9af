//! `toolorch rehearse`: each failure of the log, and what is said and done about it.
//!
//! The YAMLs are those of `clusters/rehearsals`. They run at 200 times the speed of the cluster.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::scene::{Said, Scene, until};

const SPEED: &str = "200x";

/// A folder with the rehearsals.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.copy("clusters/rehearsals", "rehearsals");
    scene
}

fn rehearse(scene: &Scene, name: &str, more: &[&str]) -> Said {
    let yaml = format!("rehearsals/{name}.yaml");
    let args = [&["rehearse", yaml.as_str(), "--speed", SPEED], more].concat();
    let said = scene.run(&args);
    scene.assert_nothing_left();
    said
}

/// What the run's folder keeps of a rehearsal.
fn evidence(scene: &Scene, name: &str) -> Value {
    let path = format!("home/runs/{name}-rehearsal/latest/report/rehearsal.json");
    serde_json::from_str(&scene.read(&path)).unwrap()
}

/// A line of the verdict that begins like this.
fn line<'a>(said: &'a Said, beginning: &str) -> &'a str {
    let mut lines = said.out.lines();
    let found = lines.find(|line| line.trim_start().starts_with(beginning));
    found.unwrap_or_else(|| panic!("no line `{beginning}` in\n{}\n{}", said.out, said.err))
}

#[test]
fn the_wrong_parser_is_refused_before_anything_starts() {
    let scene = scene();
    let said = rehearse(&scene, "parser", &[]);
    assert_eq!(said.code, 2, "{}", said.err);
    let words = "error[E0401]: parser `hermes` does not understand gpt-oss";
    assert!(said.err.contains(words), "{}", said.err);
    assert!(said.err.contains("help: use `openai`"), "{}", said.err);
    assert!(said.took < Duration::from_secs(5), "{:?}", said.took);
    assert!(!scene.path("home/runs").exists());
}

#[test]
fn a_prompt_that_does_not_fit_is_refused_before_anything_starts() {
    let scene = scene();
    let said = rehearse(&scene, "context-length", &[]);
    assert_eq!(said.code, 2, "{}", said.err);
    let words = "error[E0420]: the evaluation sends `answer` more than it can hold";
    assert!(said.err.contains(words), "{}", said.err);
    assert!(!scene.path("home/runs").exists());
}

#[test]
fn a_key_that_comes_back_reaches_no_client() {
    let scene = scene();
    let said = rehearse(&scene, "external-fallback", &[]);
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    let given = line(&said, "not given to the client:");
    assert!(given.contains("NEBIUS_API_KEY"), "{given}");
    let calls = scene.read("home/rehearsals/external-fallback/calls-hle.jsonl");
    assert!(calls.lines().count() > 60);
    for call in calls.lines() {
        let call: Value = serde_json::from_str(call).unwrap();
        let place = call["base_url"].as_str().unwrap();
        assert!(place.starts_with("http://127.0."), "{place}");
    }
    // What the client logged makes the orchestrator's table; its results name only the experts.
    let report = ["report", "external-fallback-rehearsal", "--format", "json"];
    let report: Value = serde_json::from_str(&scene.expect(0, &report).out).unwrap();
    let found = &report["evaluations"][0];
    assert_eq!(found["orchestrator"]["source"], "call-log", "{found:#}");
    let asked = calls
        .lines()
        .filter(|line| line.contains("\"event\": \"response\""));
    let model = found["orchestrator"]["row"]["model"].to_string();
    let own = asked.filter(|line| line.contains(&model)).count();
    assert_eq!(
        found["orchestrator"]["row"]["coverage"]["used"], own,
        "{found:#}"
    );
    assert!(own > 0 && !found["tools"].as_array().unwrap().is_empty());
    assert_eq!(found["accuracy"]["missing"], 0);
}

#[test]
fn a_call_to_the_outside_is_refused_and_told() {
    let scene = scene();
    let yaml = "rehearsals/outside-call.yaml";
    let said = scene.run(&["rehearse", yaml]);
    scene.assert_nothing_left();
    assert_eq!(said.code, 7, "{}\n{}", said.out, said.err);
    let told = line(&said, "api.tokenfactory.nebius.com:443");
    assert!(told.contains("NOT DECLARED, refused"), "{told}");
    // The evaluation itself did not suffer.
    let every = line(&said, "yes  every id of `hle` is written");
    assert!(every.ends_with("60 of 60"), "{every}");
}

#[test]
fn a_client_that_dies_in_silence_goes_on_within_seconds() {
    let scene = scene();
    let said = rehearse(&scene, "silent-death", &[]);
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    let evidence = evidence(&scene, "silent-death");
    let eval = &evidence["evals"][0];
    assert_eq!(eval["starts"], 2);
    assert_eq!((&eval["done"], &eval["total"]), (&60.into(), &60.into()));
    let kill = &eval["kill"];
    assert_eq!(kill["touched"], 0, "{kill}");
    assert!(kill["finished"].as_u64().unwrap() >= 15, "{kill}");
    assert!(kill["back_after"].as_u64().unwrap() < 5_000, "{kill}");
    assert!(said.err.contains("SIGKILL inferred"), "{}", said.err);
    let named = said.err.matches("\nwhat limited it, and all tables: ");
    assert_eq!(named.count(), 1, "{}", said.err);
    // It is judged in the cluster's time, with the cluster's GPUs.
    let said = scene.expect(0, &["report", "silent-death-rehearsal", "--format", "json"]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let judged = &report["judgements"][0];
    assert_eq!(judged["speed"], 200.0, "{judged}");
    assert!(
        judged["analysis"]["cost"]["gpu_hours"].as_f64().unwrap() > 0.0,
        "{judged}"
    );
    assert!(
        !report["evaluations"][0]["server_times"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

/// The mean time of the first searches of a rehearsal, in milliseconds here.
fn searches(scene: &Scene, name: &str) -> f64 {
    let folder = format!("home/rehearsals/{name}/results/hle");
    let mut times = Vec::new();
    for file in scene.result_names(&folder) {
        let result: Value = serde_json::from_str(&scene.read(&format!("{folder}/{file}"))).unwrap();
        let turns = result["all_tool_responses"].as_object().unwrap();
        for response in turns.values().flat_map(|turn| turn.as_array().unwrap()) {
            times.extend(response["_retrieval_ms"].as_f64());
        }
    }
    assert!(times.len() >= 5, "{name}: {times:?}");
    #[expect(clippy::cast_precision_loss, reason = "a few searches")]
    let count = times.len() as f64;
    times.iter().sum::<f64>() / count
}

#[test]
fn no_question_pays_for_a_cold_start_where_there_is_a_warm_up() {
    let scene = scene();
    let yaml = scene.read("rehearsals/cold-start.yaml");
    let (before, rest) = yaml.split_once(",\n               warmup:").unwrap();
    let (_, after) = rest.split_once("requests: 100 }").unwrap();
    let cold = format!("{before}{after}").replace("name: cold-start", "name: cold");
    scene.write("rehearsals/cold.yaml", &cold);
    // At a speed at which 8 s are far above what a busy machine adds.
    let slowly = ["--speed", "40x", "--head", "24", "--no-kill"];
    for name in ["cold-start", "cold"] {
        let yaml = format!("rehearsals/{name}.yaml");
        let said = scene.run(&[&["rehearse", yaml.as_str()], slowly.as_slice()].concat());
        assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    }
    let (warm, cold) = (searches(&scene, "cold-start"), searches(&scene, "cold"));
    // 8 s are 200 ms at this speed, and become less with each search.
    assert!(cold > warm + 60.0, "cold {cold:.0} ms, warm {warm:.0} ms");
}

#[test]
fn a_table_of_open_files_that_fills_up_is_made_larger() {
    let scene = scene();
    // At the usual speed: files leak three times for each request.
    let said = scene.run(&["rehearse", "rehearsals/open-files.yaml", "--no-kill"]);
    scene.assert_nothing_left();
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    let log = scene.read("home/runs/open-files-rehearsal/latest/logs/eval-hle.log");
    assert!(!log.contains("[Errno 24] Too many open files"), "{log}");
    let told = line(&said, "yes  open files of `hle`");
    assert!(
        told.contains("of 600 in one process, a limit that was raised to"),
        "{told}"
    );
    let eval = &evidence(&scene, "open-files")["evals"][0];
    assert_eq!((&eval["starts"], &eval["errors"]), (&1.into(), &0.into()));
}

#[test]
fn a_replica_that_hangs_is_told() {
    let scene = scene();
    let yaml = "rehearsals/starvation.yaml";
    // At the usual speed: the fault comes a second after the client, which takes six. Half a minute of the controller
    // passes in six seconds.
    let mut command = scene.toolorch(&["rehearse", yaml, "--no-kill"]);
    command.env("TOOLORCH_TIME_SCALE", "5");
    let said = scene.go(command).end();
    scene.assert_nothing_left();
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    line(&said, "-    after 1s: orchestrator-1 hang");
    let every = line(&said, "yes  every id of `hle` is written");
    assert!(every.ends_with("60 of 60"), "{every}");
    let judged: Vec<Value> = (scene.journal("starvation-rehearsal").iter())
        .map(|record| record["event"].clone())
        .filter(|event| event["kind"] == "judged")
        .collect();
    let [judged] = &judged[..] else {
        panic!("{judged:?}");
    };
    assert_eq!(judged["unit"], "orchestrator-1");
    assert_eq!(judged["liveness"], "stalled");
}

/// The cluster of the log, and a checkout of its client at another place than the site's.
#[test]
fn a_client_that_is_here_runs_itself() {
    let scene = Scene::new();
    scene.copy("clusters", "clusters");
    scene.copy("tests/fixtures/toolorch_client", "src/evaluation");
    let questions = (1..=40).map(|n| {
        format!(
            "{{\"id\": \"q{n}\", \"question\": \"What is {n} + 7?\", \"answer\": \"{}\"}}\n",
            n + 7
        )
    });
    scene.write("src/evaluation/hle.jsonl", &questions.collect::<String>());
    let python = which("python3");
    std::os::unix::fs::symlink(python, scene.path("bin/python")).unwrap();
    let yaml = scene.read("clusters/hle-oss.yaml");
    let here = "rehearse: { paths: { ~/ToolOrchestra: ../src }, env: { set: { CLIENT_TIME_SCALE: \"0.01\" } }, dataset_head: 30 }\n";
    scene.write(
        "clusters/mine.yaml",
        &(yaml.replace("name: hle-oss", "name: mine") + here),
    );
    let said = scene.run(&["rehearse", "clusters/mine.yaml", "--speed", SPEED]);
    scene.assert_nothing_left();
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    let every = line(&said, "yes  every id of `hle` is written");
    assert!(every.ends_with("30 of 30"), "{every}");
    assert!(!said.err.contains("stand-in of its client"), "{}", said.err);
    let plan: Value =
        serde_json::from_str(&scene.read("home/runs/mine-rehearsal/latest/plan.json")).unwrap();
    let units = plan["units"].as_array().unwrap();
    let client = units.iter().find(|unit| unit["id"] == "eval-hle").unwrap();
    assert_eq!(client["argv"][1], "eval_hle_oss.py");
    assert_eq!(client["env"]["set"]["OPENAI_API_KEY"], "rehearsal");
    // What the site's paths lead to is as it was.
    assert_eq!(
        scene.result_names("src/evaluation/outputs_oss_hle_full_new"),
        [] as [String; 0]
    );
    // The questions of FRAMES are not in the checkout.
    assert!(said.err.contains("the questions of frames"), "{}", said.err);
}

/// Waits until a rehearsal's client has results.
fn under_way(scene: &Scene, name: &str) {
    let folder = format!("home/rehearsals/{name}/results/hle");
    until("results of a rehearsal", || {
        (scene.results(&folder) > 0).then_some(())
    });
}

#[test]
fn a_rehearsal_is_alone_and_begins_with_nothing() {
    let scene = scene();
    let args = ["rehearse", "rehearsals/silent-death.yaml", "--no-kill"];
    let first = scene.go(scene.toolorch(&args));
    under_way(&scene, "silent-death");
    let second = scene.expect(75, &[&args[..], &["--head", "7"]].concat());
    assert!(
        second
            .err
            .contains("another rehearsal of this cluster goes on"),
        "{}",
        second.err
    );
    // One that is killed leaves its servers; the next one ends them, and begins anew.
    first.signal(rustix::process::Signal::KILL);
    first.end();
    assert!(!scene.processes().is_empty());
    let third = scene.expect(0, &[&args[..], &["--speed", SPEED, "--head", "7"]].concat());
    assert!(
        third.err.contains("was left by an earlier rehearsal"),
        "{}",
        third.err
    );
    assert!(line(&third, "yes  every id of `hle` is written").ends_with("7 of 7"));
    scene.assert_nothing_left();
}

#[test]
fn what_runs_for_real_is_left_alone() {
    let scene = Scene::quickstart(200);
    let up = scene.go(scene.toolorch(&["up", "quickstart.yaml"]));
    until("results", || {
        (scene.results("quickstart/out/results") > 5).then_some(())
    });
    let rehearsal = scene.go(scene.toolorch(&["rehearse", "quickstart.yaml", "--speed", "5x"]));
    until("the rehearsal's servers", || {
        let runs = scene.runs();
        runs.iter()
            .any(|run| run.starts_with("quickstart-rehearsal"))
            .then_some(())
    });
    rehearsal.signal(rustix::process::Signal::INT);
    let rehearsed = rehearsal.end();
    assert_eq!(rehearsed.code, 130, "{}", rehearsed.err);
    let said = up.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(scene.results("quickstart/out/results"), 200);
    scene.assert_nothing_left();
}

#[test]
fn a_folder_that_no_rehearsal_made_is_kept() {
    let scene = scene();
    scene.write("home/rehearsals/silent-death/mine.txt", "precious");
    let said = rehearse(&scene, "silent-death", &[]);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("no rehearsal made it"), "{}", said.err);
    assert_eq!(
        scene.read("home/rehearsals/silent-death/mine.txt"),
        "precious"
    );
}

fn which(program: &str) -> String {
    let found = std::process::Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output()
        .unwrap();
    String::from_utf8(found.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_same_seed_draws_the_same_chaos() {
    let scene = scene();
    let first = rehearse(&scene, "silent-death", &["--chaos", "7", "--head", "10"]);
    let second = rehearse(&scene, "silent-death", &["--chaos", "7", "--head", "10"]);
    let drawn = |said: &Said| -> Vec<String> {
        let lines = said.err.lines().filter(|line| line.starts_with("  after "));
        lines.map(str::to_owned).collect()
    };
    assert!(drawn(&first).len() >= 4, "{}", first.err);
    assert_eq!(drawn(&first), drawn(&second));
}

#[test]
fn a_fault_that_fits_nothing_is_refused() {
    let scene = scene();
    let yaml = scene.read("rehearsals/silent-death.yaml");
    let mut shown = Vec::new();
    for faults in [
        "nobody: 1s kill",
        "eval-hle: 1s hang",
        "eval-hle: soon kill",
    ] {
        let changed = yaml.replace("dataset_head: 60", &format!("faults: {{ {faults} }}"));
        scene.write("rehearsals/bad.yaml", &changed);
        let said = rehearse(&scene, "bad", &[]);
        assert_eq!(said.code, 2);
        let error = said.err.lines().find(|line| line.starts_with("error"));
        shown.push(error.unwrap_or_default().to_owned());
    }
    insta::assert_snapshot!(shown.join("\n"), @r"
        error: `rehearse.faults.nobody`: there is no such unit; there are orchestrator-0, orchestrator-1, coder-0, answer-0, answer-1, search-0, retrieval, outside, outside-judge, eval-hle
        error: `rehearse.faults.eval-hle`: `hang` does not fit it; what does: kill, stop, term, torn, leak, exit, outside, stall, die, end
        error: `rehearse.faults.eval-hle`: `soon` is not a duration: write a number and a unit, such as `90s`, `60m`, `1h30m` or `500ms`
        ");
    assert!(!Path::new(&scene.path("home/runs")).exists());
}
