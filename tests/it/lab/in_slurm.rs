//! `up` and `down` with servers in SLURM jobs, and what becomes of them when jobs, nodes and daemons end.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use toolorch::base::Timestamp;
use toolorch::run::store::read_samples;

use super::site::Site;
use super::{Lab, Service, Shape};
use crate::up::scene::{Going, until};

const FIRST: &str = "gpu-31-10";
const SECOND: &str = "gpu-31-11";

const YAML: &str = "version: 1
name: s
launcher: slurm
slurm: { partition: main, time: '01:00:00' }
nodes:
  gpu-31-10: { gpus: 8 }
  gpu-31-11: { gpus: 8 }
models:
  m: { model: Qwen/Qwen3-8B, engine: sim, node: gpu-31-10, gpus: [2, 5], replicas: 2, port: 1800, restart: { backoff: 1s } }
  n: { model: Qwen/Qwen3-14B, engine: sim, node: gpu-31-11, port: 1810, restart: { backoff: 1s } }
evals:
  wait: { command: [sleep, '600'], results: out, finished: { count: 1 }, requires: [m, n] }
";

/// Two SLURM nodes, and a cluster of three servers in two jobs.
fn site(yaml: &str) -> Site {
    let slurm = vec![FIRST.to_owned(), SECOND.to_owned()];
    let shape = Shape {
        slurm,
        ..Shape::slurm()
    };
    Site::new(&shape, yaml)
}

/// The controller, with all servers ready.
fn up(site: &Site) -> Going {
    let going = site.up();
    has_client(site);
    going
}

fn has_client(site: &Site) {
    until("the client", || {
        let client = site.run(["pgrep", "-f", "^sleep 600"]);
        (client.code == 0).then_some(())
    });
}

/// Its servers on a node, by process id.
fn servers(site: &Site, node: &str) -> Vec<u32> {
    site.servers(node).into_values().flatten().collect()
}

/// `ID STATE` of the jobs on a node, or that want it, which are not over.
fn jobs(lab: &Site) -> Vec<String> {
    let said = lab.exec(["squeue", "-h", "-o", "%i %T"]);
    // Of a job that is completing nothing of ours is left: SLURM takes its node back.
    let jobs = said.lines().filter(|line| !line.ends_with("COMPLETING"));
    let mut jobs: Vec<String> = jobs.map(str::to_owned).collect();
    jobs.sort_unstable();
    jobs
}

/// `down` leaves nothing, in the run's folder either.
#[track_caller]
fn goes_down(site: &Site) {
    site.goes_down();
    let run = site.home().join("c/.toolorch/runs/s/1/slurm");
    assert_eq!(fs::read_dir(run).unwrap().count(), 0);
}

#[test]
fn servers_come_up_are_adopted_started_again_and_go_down() {
    let site = site(&YAML.replace("port: 1810,", "port: 1810, env: { pass: [DEMO_TOKEN] },"));
    let with_token = |args: &str| {
        let [bash, c, line] = Site::words(args);
        ["env", "DEMO_TOKEN=it's-secret", &bash, &c, &line].map(str::to_owned)
    };
    let first = site.go(with_token("up --events plain"));
    has_client(&site);
    let (one, two) = (servers(&site, FIRST), servers(&site, SECOND));
    assert_eq!((one.len(), two.len()), (2, 1));
    assert_eq!(jobs(&site), ["1 RUNNING", "2 RUNNING"]);
    let variables = |pid: u32| {
        let file = format!("/proc/{pid}/environ");
        let node = if two.contains(&pid) { SECOND } else { FIRST };
        site.on(node, ["bash", "-c", &format!("tr '\\0' '\\n' <{file}")])
    };
    // Of the job's GPUs, each its own; `gres` gives the first ones.
    let gpus = one.iter().map(|pid| {
        let all = variables(*pid);
        let line = all.lines().find(|line| line.starts_with("CUDA_VISIBLE"));
        line.unwrap().to_owned()
    });
    let mut gpus: Vec<String> = gpus.collect();
    gpus.sort_unstable();
    assert_eq!(gpus, ["CUDA_VISIBLE_DEVICES=0", "CUDA_VISIBLE_DEVICES=1"]);
    assert!(variables(two[0]).contains("DEMO_TOKEN=it's-secret"));
    let job = site.exec(["squeue", "-h", "-w", SECOND, "-o", "%i"]);
    let scripts = site.exec(["scontrol", "write", "batch_script", &job, "-"]);
    assert!(scripts.contains("#SBATCH --nodelist=gpu-31-11") && !scripts.contains("it's-secret"));

    // A server dies: its job has it started again, and is the same.
    site.on(SECOND, ["kill", "-KILL", &two[0].to_string()]);
    Site::says(&first, 1, "n-0 ended with code 137");
    Site::says(&first, 2, "n-0 ready after");
    assert_eq!(jobs(&site), ["1 RUNNING", "2 RUNNING"]);

    // The controller dies; the next one finds all that runs.
    let before = (servers(&site, FIRST), servers(&site, SECOND));
    Lab::signal(&first, Signal::KILL);
    first.end();
    let second = site.go(Site::words("up --events plain"));
    Site::says(&second, 4, "found running");
    assert_eq!((servers(&site, FIRST), servers(&site, SECOND)), before);
    Lab::signal(&second, Signal::INT);
    assert_eq!(second.end().code, 130);
    let logs = site.toolorch(0, "logs n-0 -n 3");
    assert!(logs.out.contains("INFO"), "{}", logs.out);
    goes_down(&site);
}

/// Eight GPUs, of which it shows those that it is asked for; the first time it hangs.
const NVIDIA_SMI: &str = r#"#!/bin/bash
[[ $1 == --query-gpu=index,utilization.gpu,memory.used,memory.total && $2 == --format=csv,noheader,nounits && $3 == --id=0,1 ]] || exit 2
mkdir "$HOME/hangs" 2>/dev/null && exec sleep 600
printf '%s\n' '0, 97, 70123, 81559' '1, [N/A], 4, 81559'
"#;

#[test]
fn what_the_node_of_a_job_does_is_sampled_by_the_job_and_delays_nothing() {
    let one = YAML.replace("  n: {", "  # n: {").replace("[m, n]", "[m]");
    let site = site(&one);
    let place = site.path("bin/nvidia-smi");
    fs::write(&place, NVIDIA_SMI).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    // A job has a PATH of its own.
    let bin = site.path("bin");
    site.on(
        FIRST,
        ["mount", "--bind", bin.to_str().unwrap(), "/usr/local/bin"],
    );
    let going = up(&site);
    let run = site.home().join("c/.toolorch/runs/s/1");
    let lines = || {
        let samples = read_samples(&run, Timestamp(u64::MAX / 2)).ok()?;
        samples.nodes.get(FIRST).cloned()
    };
    let first = until("the node's load", || lines()?.first().cloned());
    assert!(first.load.is_some() && first.memory.is_some(), "{first:?}");
    assert_eq!(first.gpus, [], "the first look at them hung");
    let gpus = until("GPUs", || {
        let mut lines = lines()?.into_iter();
        lines.find_map(|line| Some(line.gpus).filter(|gpus| !gpus.is_empty()))
    });
    // By the numbers of the YAML, to which the plan gave the servers, and not by those that SLURM gave.
    let gpus = serde_json::to_string(&gpus).unwrap();
    insta::assert_snapshot!(gpus, @r#"[{"index":2,"busy":97,"used":70123,"total":81559},{"index":5,"used":4,"total":81559}]"#);
    let lines = lines().unwrap();
    assert!(lines.windows(2).all(|pair| pair[0].at < pair[1].at));
    goes_down(&site);
    assert_eq!(going.end().code, 143);
}

#[test]
fn slurmctld_may_be_away_while_a_server_dies() {
    let site = site(YAML);
    let going = up(&site);
    for job in ["1", "2"] {
        site.written_down(job);
    }
    site.slurmctld(Service::Kill);
    let died = servers(&site, SECOND)[0];
    site.on(SECOND, ["kill", "-KILL", &died.to_string()]);
    Site::says(&going, 2, "n-0 ready after");
    assert_eq!(servers(&site, SECOND).len(), 1);
    site.slurmctld(Service::Start);
    until("slurmctld", || {
        (site.run(["squeue"]).code == 0).then_some(())
    });
    assert_eq!(jobs(&site), ["1 RUNNING", "2 RUNNING"]);
    assert_eq!(servers(&site, FIRST).len(), 2);
    goes_down(&site);
    assert_eq!(going.end().code, 143);
}

#[test]
fn slurmctld_may_be_away_when_servers_are_to_start() {
    let site = site(YAML);
    site.slurmctld(Service::Kill);
    let going = site.go(Site::words("up --no-eval --events plain"));
    Site::says(&going, 1, "alarm slurm-away: ");
    site.slurmctld(Service::Start);
    let said = going.end();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!said.err.contains("could not be started"), "{}", said.err);
    assert!(!said.err.contains("start 2"), "{}", said.err);
    assert_eq!(jobs(&site), ["1 RUNNING", "2 RUNNING"]);
    goes_down(&site);
}

#[test]
fn a_node_that_slurm_gave_up_and_one_without_power_get_another_job() {
    let site = site(YAML);
    let going = up(&site);
    for job in ["1", "2"] {
        site.written_down(job);
    }
    // slurmd dies and its server lives: SLURM takes the job for failed, and slurmd ends what is left when it is back.
    let ghost = servers(&site, SECOND);
    let job = site.exec(["squeue", "-h", "-w", SECOND, "-o", "%i"]);
    site.slurmd(SECOND, Service::Kill);
    until("the job's failure", || {
        let failed = site.exec(["squeue", "-h", "-t", "all", "-j", &job, "-o", "%T"]);
        (failed == "NODE_FAIL").then_some(())
    });
    assert_eq!(servers(&site, SECOND), ghost, "it still serves");
    let status = site.toolorch(0, "status");
    assert!(status.out.contains("n     ready"), "{}", status.out);
    site.slurmd(SECOND, Service::Start);
    Site::says(&going, 1, "(NODE_FAIL)");
    Site::says(&going, 2, "n-0 ready after");
    let now = servers(&site, SECOND);
    assert!(now.len() == 1 && now != ghost, "{ghost:?} {now:?}");

    site.crash(FIRST);
    Site::says(&going, 2, "(NODE_FAIL)");
    site.boot(FIRST);
    Site::says(&going, 2, "m-0 ready after");
    Site::says(&going, 2, "m-1 ready after");
    assert_eq!(servers(&site, FIRST).len(), 2);
    goes_down(&site);
    assert_eq!(going.end().code, 143);
}

#[test]
fn a_job_that_is_requeued_or_makes_room_begins_anew_and_one_that_a_person_ends_does_not() {
    let site = site(&YAML.replace("partition: main", "partition: scavenge"));
    let going = up(&site);
    let job = site.exec(["squeue", "-h", "-w", SECOND, "-o", "%i"]);
    site.exec(["scontrol", "update", &format!("JobId={job}"), "Requeue=1"]);
    site.exec(["scontrol", "requeue", &job]);
    Site::says(&going, 1, "n-0 ended");
    Site::says(&going, 2, "n-0 ready after");
    assert_eq!(servers(&site, SECOND).len(), 1);

    let first = [
        "-p",
        "main",
        "-w",
        FIRST,
        "--gres=gpu:8",
        "--wrap",
        "exec sleep 1000",
    ];
    let winner = site.exec(["sbatch", "--parsable"].into_iter().chain(first));
    Site::says(&going, 2, "another job took its node (PREEMPTED)");
    until("the queue", || {
        let status = site.toolorch(0, "status").out;
        status
            .contains("the nodes are busy (Resources)")
            .then_some(())
    });
    site.exec(["scancel", &winner]);
    Site::says(&going, 2, "m-0 ready after");
    Site::says(&going, 2, "m-1 ready after");

    let all = jobs(&site);
    let last = all.last().unwrap().split(' ').next().unwrap();
    site.exec(["scancel", last]);
    let words = format!("m-0 given up: its SLURM job {last} was cancelled");
    Site::says(&going, 1, &words);
    assert_eq!(servers(&site, FIRST), [] as [u32; 0]);
    goes_down(&site);
}

#[test]
fn what_never_starts_is_refused_and_an_sbatch_that_lies_starts_nothing_twice() {
    let site = site(
        &YAML
            .replace("time: '01:00:00'", "time: '00:05:00'")
            .replace("main", "short"),
    );
    let refused = site.toolorch(4, "up --no-eval --events plain");
    let words = "m-0 given up: it will never begin: job";
    assert!(refused.err.contains(words), "{}", refused.err);
    assert!(refused.took.as_secs() < 30, "{:?}", refused.took);
    site.toolorch(0, "down");
    assert_eq!(jobs(&site), [] as [&str; 0]);

    // It submits, and says that it did not.
    site.write("cluster.yaml", YAML);
    let liar = site.home().join("bin");
    fs::create_dir(&liar).unwrap();
    let real = site.exec(["bash", "-c", "command -v sbatch"]);
    let lie = "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1";
    let text = format!("#!/bin/bash\necho >>$HOME/asked; {real} \"$@\" >/dev/null; {lie}\n");
    fs::write(liar.join("sbatch"), text).unwrap();
    fs::set_permissions(liar.join("sbatch"), fs::Permissions::from_mode(0o755)).unwrap();
    let line =
        "cd c && PATH=$HOME/bin:$PATH exec toolorch up --no-eval --events plain cluster.yaml";
    let said = site.run(["bash", "-c", line]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(jobs(&site).len(), 2);
    assert_eq!(
        (servers(&site, FIRST).len(), servers(&site, SECOND).len()),
        (2, 1)
    );
    let asked = fs::read_to_string(site.home().join("asked")).unwrap();
    assert_eq!(asked.lines().count(), 2);
    site.toolorch(0, "down");
    assert_eq!(jobs(&site), [] as [&str; 0]);
}

#[test]
fn jobs_are_submitted_from_another_machine_that_does_not_share_the_folder() {
    let shape = Shape {
        slurm: vec![FIRST.to_owned(), SECOND.to_owned()],
        plain: vec!["research-secure-05".to_owned()],
        private_home: vec!["research-secure-05".to_owned()],
        ..Shape::slurm()
    };
    let site = Site::new(&shape, "");
    let yaml = YAML.replace("slurm: { ", "slurm: { login: login01, ");
    fs::write(site.path("s.yaml"), yaml).unwrap();
    fs::set_permissions(site.path("s.yaml"), fs::Permissions::from_mode(0o644)).unwrap();
    let far = |line: &str| {
        let line = format!("mkdir -p c && cd c && {line}");
        site.run(["ssh", "-oBatchMode=yes", "research-secure-05", &line])
    };
    let keys = "tar -C $HOME -cf - .ssh | ssh research-secure-05 tar -C /$HOME -xf -";
    site.exec(["bash", "-c", keys]);
    let yaml = site.path("s.yaml");
    let up = far(&format!(
        "cp {} . && toolorch up --no-eval --events plain s.yaml",
        yaml.display()
    ));
    assert_eq!(up.code, 0, "{}{}", up.out, up.err);
    assert_eq!(
        (servers(&site, FIRST).len(), servers(&site, SECOND).len()),
        (2, 1)
    );
    assert!(
        !site.home().join("c/.toolorch").exists(),
        "the folder is not shared"
    );
    let down = far("toolorch down s.yaml");
    assert_eq!(down.code, 0, "{}{}", down.out, down.err);
    assert_eq!(jobs(&site), [] as [&str; 0]);
    assert_eq!(
        (site.left(FIRST), site.left(SECOND)),
        (String::new(), String::new())
    );
    // Their logs went with what the run left there; the ends are kept.
    let logs = far("toolorch logs m-0 s.yaml");
    assert_eq!(logs.code, 0, "{}", logs.err);
    assert!(
        logs.out.contains("Application startup complete"),
        "{}",
        logs.out
    );
}

/// Asks a server for each question, once; reads where they are once, at its start.
const CLIENT: &str = r#"
import json, os, sys, time, urllib.request
dataset, results, config = sys.argv[1:]
ends = [e for entry in json.load(open(config)).values() if isinstance(entry, list) for e in entry]
os.makedirs(results, exist_ok=True)
for n, line in enumerate(open(dataset)):
    name = json.loads(line)["id"]
    path = os.path.join(results, name + ".json")
    if os.path.exists(path):
        continue
    end = ends[n % len(ends)]
    body = {"model": "Qwen/Qwen3-8B", "max_tokens": 40, "messages": [{"role": "user", "content": name}]}
    request = urllib.request.Request("http://%s:%s/v1/chat/completions" % (end["ip_addr"], end["port"]),
        json.dumps(body).encode(), {"Content-Type": "application/json"})
    answer = {"id": name, "status": "done"}
    try:
        urllib.request.urlopen(request, timeout=20).read()
    except Exception as error:
        answer.update(status="error", error_type="APIConnectionError", error=str(error))
    with open(path, "w") as file:
        json.dump(answer, file)
    print("DONE id=%s status=%s" % (name, answer["status"]), flush=True)
    time.sleep(0.1)
"#;

const POOL: &str = "version: 1
name: s
slurm: { partition: main, time: '01:00:00' }
pools: { h: { nodes: 2, gpus: 8, slurm: { extra: { exclusive: 'true' } } } }
models:
  m: { model: Qwen/Qwen3-8B, engine: sim, node: h, gpus: [[0], [1]], replicas: 2, port: auto, restart: { backoff: 1s } }
client_config: { format: toolorchestra, path: config.json }
evals:
  ask:
    command: [python3, client.py, '{dataset}', '{results}', '{config}']
    dataset: data.jsonl
    results: out
    marker: DONE
    restart: { attempts: 3, backoff: 100ms }
when_done: down
";

#[test]
fn nodes_are_learned_and_clients_follow_what_moves() {
    let shape = Shape {
        slurm: vec![FIRST.to_owned(), SECOND.to_owned(), "gpu-31-12".to_owned()],
        ..Shape::slurm()
    };
    let site = Site::new(&shape, POOL);
    site.write("client.py", CLIENT);
    let questions = (0..150).map(|n| format!("{{\"id\":\"q-{n}\"}}\n"));
    site.write("data.jsonl", &questions.collect::<String>());
    let going = site.up();
    let results = || fs::read_dir(site.home().join("c/out")).map_or(0, Iterator::count);
    until("some results", || (results() > 20).then_some(()));
    let probed = site.toolorch(0, "probe").out;
    for node in [FIRST, SECOND] {
        assert!(probed.contains(&format!(" {node}:")), "{probed}");
    }
    // Where a unit wrote nothing its job may say why.
    let logs = site.home().join("c/.toolorch/runs/s/1/logs");
    fs::rename(logs.join("m-0.log"), logs.join("hidden")).unwrap();
    let said = site.toolorch(0, "logs m-0");
    assert!(said.err.contains("this is its job's, "), "{}", said.err);
    fs::rename(logs.join("hidden"), logs.join("m-0.log")).unwrap();
    let config = || fs::read_to_string(site.home().join("c/config.json")).unwrap();
    let before = config();
    assert!(
        before.contains(FIRST) && before.contains(SECOND),
        "{before}"
    );

    // An administrator takes the second node, and its job goes elsewhere.
    let job = site.exec(["squeue", "-h", "-w", SECOND, "-o", "%i"]);
    let drain = [
        "update",
        &format!("NodeName={SECOND}"),
        "State=DRAIN",
        "Reason=repair",
    ];
    site.root(["scontrol"].into_iter().chain(drain));
    site.root(["scontrol", "update", &format!("JobId={job}"), "Requeue=1"]);
    site.root(["scontrol", "requeue", &job]);
    Site::says(&going, 1, "listens at gpu-31-12:");
    let said = going.end();
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let after = config();
    assert!(
        after.contains("gpu-31-12") && !after.contains(SECOND),
        "{after}"
    );
    let done = fs::read_dir(site.home().join("c/out")).unwrap();
    let done = done.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap_or_default());
    assert_eq!(done.filter(|text| text.contains("\"done\"")).count(), 150);
    assert_eq!(jobs(&site), [] as [&str; 0]);
}

#[test]
#[ignore = "takes four minutes: half of a time limit, which SLURM counts in minutes"]
fn a_job_whose_time_runs_out_is_followed_by_its_successor() {
    let site = site(
        &POOL
            .replace("time: '01:00:00'", "time: '00:05:00', renew: true")
            .replace(
                "python3, client.py, '{dataset}', '{results}', '{config}'",
                "sleep, '900'",
            )
            .replace("    dataset: data.jsonl\n", "")
            .replace(
                "results: out\n",
                "results: out\n    finished: { count: 1 }\n",
            )
            .replace("nodes: 2", "nodes: 1")
            .replace("gpus: [[0], [1]], replicas: 2", "gpus: [0]"),
    );
    let going = site.up();
    let patiently = |what: &str, times| {
        for _ in 0..5 {
            let found = |text: &str| text.lines().filter(|line| line.contains(what)).count();
            if found(&going.err()) >= times {
                return;
            }
            let _ = site.run(["sleep", "50"]);
        }
        panic!("waited for {what}: {}", going.err());
    };
    Site::says(&going, 1, "m-0 ready after");
    let first = servers(&site, FIRST);
    assert_eq!(first.len(), 1);
    patiently("m-0 ready after", 2);
    assert!(!going.err().contains("time-limit"), "{}", going.err());
    assert_eq!(
        (servers(&site, FIRST).len(), servers(&site, SECOND).len()),
        (0, 1)
    );
    assert_eq!(jobs(&site), ["2 RUNNING"]);
    site.toolorch(0, "down");
    assert_eq!(jobs(&site), [] as [&str; 0]);
}
