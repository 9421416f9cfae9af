//! `up` and `down` with servers in SLURM jobs, and what becomes of them when jobs, nodes and daemons end.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;

use super::{Lab, Service, Shape};
use crate::up::scene::{Going, Said, until};

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
fn lab(yaml: &str) -> Lab {
    let lab = Lab::shaped(&Shape {
        slurm: vec![FIRST.to_owned(), SECOND.to_owned()],
        ..Shape::slurm()
    });
    lab.exec(["mkdir", "c"]);
    fs::write(lab.home().join("c/s.yaml"), yaml).unwrap();
    lab
}

fn words(args: &str) -> [String; 3] {
    let line = format!("cd c && exec toolorch {args} s.yaml");
    ["bash".to_owned(), "-c".to_owned(), line]
}

#[track_caller]
fn toolorch(lab: &Lab, code: i32, args: &str) -> Said {
    let said = lab.run(words(args));
    assert_eq!(said.code, code, "{}{}", said.out, said.err);
    said
}

/// The controller, with all servers ready.
fn up(lab: &Lab) -> Going {
    let going = lab.go(words("up --events plain"));
    until("the client", || {
        let client = lab.run(["pgrep", "-f", "^sleep 600"]);
        (client.code == 0).then_some(())
    });
    going
}

/// Its servers on a node, by process id.
fn servers(lab: &Lab, node: &str) -> Vec<u32> {
    let found = lab.on(
        node,
        ["bash", "-c", "pgrep -f '^[^ ]*toolorch sim' || true"],
    );
    let mut pids: Vec<u32> = found.lines().map(|pid| pid.parse().unwrap()).collect();
    pids.sort_unstable();
    pids
}

/// `ID STATE` of the jobs on a node, or that want it, which are not over.
fn jobs(lab: &Lab) -> Vec<String> {
    let said = lab.exec(["squeue", "-h", "-o", "%i %T"]);
    // Of a job that is completing nothing of ours is left: SLURM takes its node back.
    let jobs = said.lines().filter(|line| !line.ends_with("COMPLETING"));
    let mut jobs: Vec<String> = jobs.map(str::to_owned).collect();
    jobs.sort_unstable();
    jobs
}

/// Whatever of the user is there besides the connections of ssh.
fn left(lab: &Lab, node: &str) -> String {
    let look = "ps -u tester -o args= | grep -v '^sshd' || true; ls -A /tmp/toolorch-4242 2>/dev/null || true";
    lab.on(node, ["bash", "-c", look])
}

#[track_caller]
fn says(going: &Going, times: usize, what: &str) {
    until(what, || {
        let lines = going.err();
        let found = lines.lines().filter(|line| line.contains(what)).count();
        (found >= times).then_some(())
    });
}

/// `down` leaves nothing, as SLURM and both nodes see it.
#[track_caller]
fn goes_down(lab: &Lab) {
    let down = toolorch(lab, 0, "down");
    assert!(down.err.contains("is down: "), "{}", down.err);
    assert_eq!(jobs(lab), [] as [&str; 0]);
    for node in [FIRST, SECOND] {
        assert_eq!(left(lab, node), "", "{node}");
    }
    let run = lab.home().join("c/.toolorch/runs/s/1/slurm");
    assert_eq!(fs::read_dir(run).unwrap().count(), 0);
}

#[test]
fn servers_come_up_are_adopted_started_again_and_go_down() {
    let lab = lab(&YAML.replace("port: 1810,", "port: 1810, env: { pass: [DEMO_TOKEN] },"));
    let with_token = |args: &str| {
        let [bash, c, line] = words(args);
        ["env", "DEMO_TOKEN=it's-secret", &bash, &c, &line].map(str::to_owned)
    };
    let first = lab.go(with_token("up --events plain"));
    until("the client", || {
        let client = lab.run(["pgrep", "-f", "^sleep 600"]);
        (client.code == 0).then_some(())
    });
    let (one, two) = (servers(&lab, FIRST), servers(&lab, SECOND));
    assert_eq!((one.len(), two.len()), (2, 1));
    assert_eq!(jobs(&lab), ["1 RUNNING", "2 RUNNING"]);
    let variables = |pid: u32| {
        let file = format!("/proc/{pid}/environ");
        let node = if two.contains(&pid) { SECOND } else { FIRST };
        lab.on(node, ["bash", "-c", &format!("tr '\\0' '\\n' <{file}")])
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
    let job = lab.exec(["squeue", "-h", "-w", SECOND, "-o", "%i"]);
    let scripts = lab.exec(["scontrol", "write", "batch_script", &job, "-"]);
    assert!(scripts.contains("#SBATCH --nodelist=gpu-31-11") && !scripts.contains("it's-secret"));

    // A server dies: its job has it started again, and is the same.
    lab.on(SECOND, ["kill", "-KILL", &two[0].to_string()]);
    says(&first, 1, "n-0 ended with code 137");
    says(&first, 2, "n-0 ready after");
    assert_eq!(jobs(&lab), ["1 RUNNING", "2 RUNNING"]);

    // The controller dies; the next one finds all that runs.
    let before = (servers(&lab, FIRST), servers(&lab, SECOND));
    Lab::signal(&first, Signal::KILL);
    first.end();
    let second = lab.go(words("up --events plain"));
    says(&second, 4, "found running");
    assert_eq!((servers(&lab, FIRST), servers(&lab, SECOND)), before);
    Lab::signal(&second, Signal::INT);
    assert_eq!(second.end().code, 130);
    let logs = toolorch(&lab, 0, "logs n-0 -n 3");
    assert!(logs.out.contains("INFO"), "{}", logs.out);
    goes_down(&lab);
}

#[test]
fn slurmctld_may_be_away_while_a_server_dies() {
    let lab = lab(YAML);
    let going = up(&lab);
    for job in ["1", "2"] {
        lab.written_down(job);
    }
    lab.slurmctld(Service::Kill);
    let died = servers(&lab, SECOND)[0];
    lab.on(SECOND, ["kill", "-KILL", &died.to_string()]);
    says(&going, 2, "n-0 ready after");
    assert_eq!(servers(&lab, SECOND).len(), 1);
    lab.slurmctld(Service::Start);
    until("slurmctld", || {
        (lab.run(["squeue"]).code == 0).then_some(())
    });
    assert_eq!(jobs(&lab), ["1 RUNNING", "2 RUNNING"]);
    assert_eq!(servers(&lab, FIRST).len(), 2);
    goes_down(&lab);
    assert_eq!(going.end().code, 143);
}

#[test]
fn a_node_that_slurm_gave_up_and_one_without_power_get_another_job() {
    let lab = lab(YAML);
    let going = up(&lab);
    for job in ["1", "2"] {
        lab.written_down(job);
    }
    // slurmd dies and its server lives: SLURM takes the job for failed, and slurmd ends what is left when it is back.
    let ghost = servers(&lab, SECOND);
    let job = lab.exec(["squeue", "-h", "-w", SECOND, "-o", "%i"]);
    lab.slurmd(SECOND, Service::Kill);
    until("the job's failure", || {
        let failed = lab.exec(["squeue", "-h", "-t", "all", "-j", &job, "-o", "%T"]);
        (failed == "NODE_FAIL").then_some(())
    });
    assert_eq!(servers(&lab, SECOND), ghost, "it still serves");
    let status = toolorch(&lab, 0, "status");
    assert!(status.out.contains("n     ready"), "{}", status.out);
    lab.slurmd(SECOND, Service::Start);
    says(&going, 1, "(NODE_FAIL)");
    says(&going, 2, "n-0 ready after");
    let now = servers(&lab, SECOND);
    assert!(now.len() == 1 && now != ghost, "{ghost:?} {now:?}");

    lab.crash(FIRST);
    says(&going, 2, "(NODE_FAIL)");
    lab.boot(FIRST);
    says(&going, 2, "m-0 ready after");
    says(&going, 2, "m-1 ready after");
    assert_eq!(servers(&lab, FIRST).len(), 2);
    goes_down(&lab);
    assert_eq!(going.end().code, 143);
}

#[test]
fn a_job_that_is_requeued_or_makes_room_begins_anew_and_one_that_a_person_ends_does_not() {
    let lab = lab(&YAML.replace("partition: main", "partition: scavenge"));
    let going = up(&lab);
    let job = lab.exec(["squeue", "-h", "-w", SECOND, "-o", "%i"]);
    lab.exec(["scontrol", "update", &format!("JobId={job}"), "Requeue=1"]);
    lab.exec(["scontrol", "requeue", &job]);
    says(&going, 1, "n-0 ended");
    says(&going, 2, "n-0 ready after");
    assert_eq!(servers(&lab, SECOND).len(), 1);

    let first = [
        "-p",
        "main",
        "-w",
        FIRST,
        "--gres=gpu:8",
        "--wrap",
        "exec sleep 1000",
    ];
    let winner = lab.exec(["sbatch", "--parsable"].into_iter().chain(first));
    says(&going, 2, "another job took its node (PREEMPTED)");
    until("the queue", || {
        let status = toolorch(&lab, 0, "status").out;
        status
            .contains("the nodes are busy (Resources)")
            .then_some(())
    });
    lab.exec(["scancel", &winner]);
    says(&going, 2, "m-0 ready after");
    says(&going, 2, "m-1 ready after");

    let all = jobs(&lab);
    let last = all.last().unwrap().split(' ').next().unwrap();
    lab.exec(["scancel", last]);
    says(&going, 1, "m-0 given up: somebody stopped it");
    assert_eq!(servers(&lab, FIRST), [] as [u32; 0]);
    goes_down(&lab);
}

#[test]
fn what_never_starts_is_refused_and_an_sbatch_that_lies_starts_nothing_twice() {
    let lab = lab(&YAML
        .replace("time: '01:00:00'", "time: '00:05:00'")
        .replace("main", "short"));
    let refused = toolorch(&lab, 4, "up --no-eval --events plain");
    let words = "m-0 given up: it will never begin: job";
    assert!(refused.err.contains(words), "{}", refused.err);
    assert!(refused.took.as_secs() < 30, "{:?}", refused.took);
    toolorch(&lab, 0, "down");
    assert_eq!(jobs(&lab), [] as [&str; 0]);

    // It submits, and says that it did not.
    fs::write(lab.home().join("c/s.yaml"), YAML).unwrap();
    let liar = lab.home().join("bin");
    fs::create_dir(&liar).unwrap();
    let real = lab.exec(["bash", "-c", "command -v sbatch"]);
    let lie = "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1";
    let text = format!("#!/bin/bash\necho >>$HOME/asked; {real} \"$@\" >/dev/null; {lie}\n");
    fs::write(liar.join("sbatch"), text).unwrap();
    fs::set_permissions(liar.join("sbatch"), fs::Permissions::from_mode(0o755)).unwrap();
    let line = "cd c && PATH=$HOME/bin:$PATH exec toolorch up --no-eval --events plain s.yaml";
    let said = lab.run(["bash", "-c", line]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(jobs(&lab).len(), 2);
    assert_eq!(
        (servers(&lab, FIRST).len(), servers(&lab, SECOND).len()),
        (2, 1)
    );
    let asked = fs::read_to_string(lab.home().join("asked")).unwrap();
    assert_eq!(asked.lines().count(), 2);
    toolorch(&lab, 0, "down");
    assert_eq!(jobs(&lab), [] as [&str; 0]);
}

#[test]
fn jobs_are_submitted_from_another_machine_that_does_not_share_the_folder() {
    let lab = Lab::shaped(&Shape {
        slurm: vec![FIRST.to_owned(), SECOND.to_owned()],
        plain: vec!["research-secure-05".to_owned()],
        private_home: vec!["research-secure-05".to_owned()],
        ..Shape::slurm()
    });
    let yaml = YAML.replace("slurm: { ", "slurm: { login: login01, ");
    fs::write(lab.path("s.yaml"), yaml).unwrap();
    fs::set_permissions(lab.path("s.yaml"), fs::Permissions::from_mode(0o644)).unwrap();
    let far = |line: &str| {
        let line = format!("mkdir -p c && cd c && {line}");
        lab.run(["ssh", "-oBatchMode=yes", "research-secure-05", &line])
    };
    let keys = "tar -C $HOME -cf - .ssh | ssh research-secure-05 tar -C /$HOME -xf -";
    lab.exec(["bash", "-c", keys]);
    let yaml = lab.path("s.yaml");
    let up = far(&format!(
        "cp {} . && toolorch up --no-eval --events plain s.yaml",
        yaml.display()
    ));
    assert_eq!(up.code, 0, "{}{}", up.out, up.err);
    assert_eq!(
        (servers(&lab, FIRST).len(), servers(&lab, SECOND).len()),
        (2, 1)
    );
    assert!(!lab.home().join("c").exists(), "the folder is not shared");
    let down = far("toolorch down s.yaml");
    assert_eq!(down.code, 0, "{}{}", down.out, down.err);
    assert_eq!(jobs(&lab), [] as [&str; 0]);
    assert_eq!(
        (left(&lab, FIRST), left(&lab, SECOND)),
        (String::new(), String::new())
    );
}

/// Asks a server for each question, each as often as it takes until one answers; reads where they are once, at its start.
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
pools: { h: { nodes: 2, gpus: 8, slurm: { extra: { gres: 'gpu:8' } } } }
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
    let lab = Lab::shaped(&Shape {
        slurm: vec![FIRST.to_owned(), SECOND.to_owned(), "gpu-31-12".to_owned()],
        ..Shape::slurm()
    });
    lab.exec(["mkdir", "c"]);
    let write = |name: &str, text: &str| fs::write(lab.home().join("c").join(name), text).unwrap();
    write("s.yaml", POOL);
    write("client.py", CLIENT);
    let questions = (0..150).map(|n| format!("{{\"id\":\"q-{n}\"}}\n"));
    write("data.jsonl", &questions.collect::<String>());
    let going = lab.go(words("up --events plain"));
    let results = || fs::read_dir(lab.home().join("c/out")).map_or(0, Iterator::count);
    until("some results", || (results() > 20).then_some(()));
    let config = || fs::read_to_string(lab.home().join("c/config.json")).unwrap();
    let before = config();
    assert!(
        before.contains(FIRST) && before.contains(SECOND),
        "{before}"
    );

    // An administrator takes the second node, and its job goes elsewhere.
    let job = lab.exec(["squeue", "-h", "-w", SECOND, "-o", "%i"]);
    let drain = [
        "update",
        &format!("NodeName={SECOND}"),
        "State=DRAIN",
        "Reason=repair",
    ];
    lab.root(["scontrol"].into_iter().chain(drain));
    lab.root(["scontrol", "update", &format!("JobId={job}"), "Requeue=1"]);
    lab.root(["scontrol", "requeue", &job]);
    says(&going, 1, "listens at gpu-31-12:");
    let said = going.end();
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let after = config();
    assert!(
        after.contains("gpu-31-12") && !after.contains(SECOND),
        "{after}"
    );
    let done = fs::read_dir(lab.home().join("c/out")).unwrap();
    let done = done.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap_or_default());
    assert_eq!(done.filter(|text| text.contains("\"done\"")).count(), 150);
    assert_eq!(jobs(&lab), [] as [&str; 0]);
}

#[test]
#[ignore = "takes four minutes: half of a time limit, which SLURM counts in minutes"]
fn a_job_whose_time_runs_out_is_followed_by_its_successor() {
    let lab = lab(&POOL
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
        .replace("gpus: [[0], [1]], replicas: 2", "gpus: [0]"));
    let going = lab.go(words("up --events plain"));
    let patiently = |what: &str, times| {
        for _ in 0..5 {
            let found = |text: &str| text.lines().filter(|line| line.contains(what)).count();
            if found(&going.err()) >= times {
                return;
            }
            let _ = lab.run(["sleep", "50"]);
        }
        panic!("waited for {what}: {}", going.err());
    };
    says(&going, 1, "m-0 ready after");
    let first = servers(&lab, FIRST);
    assert_eq!(first.len(), 1);
    patiently("m-0 ready after", 2);
    assert!(!going.err().contains("time-limit"), "{}", going.err());
    assert_eq!(
        (servers(&lab, FIRST).len(), servers(&lab, SECOND).len()),
        (0, 1)
    );
    assert_eq!(jobs(&lab), ["2 RUNNING"]);
    toolorch(&lab, 0, "down");
    assert_eq!(jobs(&lab), [] as [&str; 0]);
}
