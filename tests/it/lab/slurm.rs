//! Jobs, and daemons that die under them.

use super::{Lab, Service, Shape};
use crate::up::scene::until;

/// The job's state and node, once it is in this state.
fn in_state(lab: &Lab, job: &str, state: &str) -> String {
    until(&format!("{job} {state}"), || {
        let said = lab.run(["squeue", "-h", "-j", job, "-o", "%T %N"]);
        let (now, node) = said.out.trim_end_matches('\n').split_once(' ')?;
        (now == state).then(|| node.to_owned())
    })
}

#[test]
fn jobs_run_on_all_nodes_each_with_its_gpus() {
    let lab = Lab::shaped(&Shape::slurm());
    lab.exec([
        "sbatch",
        "--wait",
        "-N4",
        "--gres=gpu:2",
        "-oall",
        "--wrap",
        "srun -l hostname",
    ]);
    let said = lab.exec(["sort", "all"]);
    assert_eq!(
        said,
        "0: gpu-31-10\n1: gpu-31-11\n2: gpu-31-12\n3: gpu-31-13"
    );

    let show = "echo $CUDA_VISIBLE_DEVICES; touch ready.$SLURM_JOB_ID; exec sleep 1000";
    let submit = |lab: &Lab| {
        lab.exec([
            "sbatch",
            "--parsable",
            "-wgpu-31-12",
            "--gres=gpu:4",
            "-o%j",
            "--wrap",
            show,
        ])
    };
    let jobs = [submit(&lab), submit(&lab), submit(&lab)];
    let shown = |job: &str| {
        until("the job", || {
            lab.home()
                .join(format!("ready.{job}"))
                .exists()
                .then_some(())
        });
        lab.exec(["cat", job])
    };
    assert_eq!([shown(&jobs[0]), shown(&jobs[1])], ["0,1,2,3", "4,5,6,7"]);
    until("what it waits for", || {
        let said = lab.run(["squeue", "-h", "-j", &jobs[2], "-o", "%T %r"]);
        (said.out == "PENDING Resources\n").then_some(())
    });
    lab.exec(["scancel", &jobs[0]]);
    assert_eq!(shown(&jobs[2]), "0,1,2,3");
    let refused = lab.run(["sbatch", "--gres=gpu:9", "--wrap", "true"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused
            .err
            .contains("Requested node configuration is not available"),
        "{}",
        refused.err
    );
}

#[test]
fn jobs_of_a_lower_partition_give_way_and_are_queued_again() {
    let lab = Lab::up();
    let submit = |partition: &str| {
        lab.exec([
            "sbatch",
            "--parsable",
            "-p",
            partition,
            "--gres=gpu:8",
            "--requeue",
            "--wrap",
            "exec sleep 1000",
        ])
    };
    let victim = submit("scavenge");
    in_state(&lab, &victim, "RUNNING");
    let winner = submit("main");
    in_state(&lab, &winner, "RUNNING");
    in_state(&lab, &victim, "PENDING");
    lab.exec(["scancel", &winner]);
    in_state(&lab, &victim, "RUNNING");
    let shown = lab.exec(["scontrol", "-o", "show", "job", &victim]);
    assert!(shown.contains(" Restarts=1 "), "{shown}");
    let limited = lab.exec(["sinfo", "-h", "-p", "short", "-o", "%l"]);
    assert_eq!(limited, "1:00");
}

#[test]
fn daemons_die_and_what_they_started_lives() {
    let lab = Lab::up();
    let job = lab.exec(["sbatch", "--parsable", "--wrap", "exec sleep 1000"]);
    assert_eq!(in_state(&lab, &job, "RUNNING"), "gpu-31-10");
    until("the program", || {
        let said = lab.run(["ssh", "gpu-31-10", "pgrep -xc sleep"]);
        (said.out == "1\n").then_some(())
    });
    lab.written_down(&job);
    lab.slurmctld(Service::Kill);
    let away = lab.run(["scontrol", "ping"]);
    assert!(away.out.contains("is DOWN"), "{}{}", away.out, away.err);
    lab.slurmd("gpu-31-10", Service::Kill);
    assert_eq!(
        lab.exec([
            "ssh",
            "gpu-31-10",
            "pgrep -xc sleep; pgrep -xc slurmd; true"
        ]),
        "1\n0"
    );

    lab.slurmctld(Service::Start);
    lab.slurmd("gpu-31-10", Service::Start);
    assert_eq!(in_state(&lab, &job, "RUNNING"), "gpu-31-10");
    assert_eq!(lab.exec(["ssh", "gpu-31-10", "pgrep -xc sleep"]), "1");
    lab.exec(["scancel", &job]);
    until("the end", || {
        let said = lab.run(["ssh", "gpu-31-10", "pgrep -xc sleep"]);
        (said.out == "0\n").then_some(())
    });
}

#[test]
#[ignore = "needs slurmdbd and MariaDB, 150 MB that nothing else needs"]
fn accounting_knows_jobs_that_ended() {
    let lab = Lab::shaped(&Shape {
        accounting: true,
        ..Shape::slurm()
    });
    let said = lab.run(["sbatch", "--wait", "--parsable", "--wrap", "exit 3"]);
    assert_eq!(said.code, 3);
    let job = said.out.trim_end();
    until("the row", || {
        let rows = lab.run(["sacct", "-XnP", "-j", job, "-oState,ExitCode"]);
        (rows.out == "FAILED|3:0\n").then_some(())
    });
}
