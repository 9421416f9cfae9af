//! What another unit of the machine has, or its user is about to have: named, and refused.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Output;

use super::lab::{Lab, eventually, kill, wait_for};

/// A program that takes its time before it listens.
fn slow(port: u16, share: u8) -> Lab {
    Lab::with(&["sleep", "60"], |unit| {
        unit.port = Some(port);
        unit.host = Some("127.0.0.1".to_owned());
        unit.gpus = vec![4, 5];
        unit.gpu_share = Some(share);
    })
}

/// Runs the unit beside `other`, on the same machine.
fn beside(other: &Lab, lab: &Lab) -> Output {
    let mut run = lab.command("run");
    run.env("TOOLORCH_CLAIMS", other.path().join("claims"));
    run.output().unwrap()
}

fn claims(lab: &Lab) -> Vec<String> {
    let folder = lab.path().join("claims");
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
fn refused(output: &Output, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{said}");
    assert!(said.contains(words), "{said}");
}

#[test]
fn a_port_is_anothers_before_it_listens() {
    let (first, second) = (slow(21_800, 40), slow(21_800, 10));
    let running = first.start("");
    let words = format!(
        "port 21800 is taken by `u` of run `{}` (pid {} of root), which does not listen yet",
        run_of(&first),
        running.pid()
    );
    refused(&beside(&first, &second), &words);
    assert_eq!(
        claims(&first).len(),
        1,
        "the refused one has none: {:?}",
        claims(&first)
    );
    // It dies with its script: what it claimed counts for nothing.
    kill("KILL", running.pid());
    kill("KILL", running.program());
    let mut third = slow(21_800, 10);
    third.unit.argv = vec!["true".to_owned()];
    third.render();
    assert!(eventually(
        || beside(&first, &third).status.code() == Some(0)
    ));
}

fn run_of(lab: &Lab) -> String {
    lab.state("run").unwrap()
}

#[test]
fn gpus_are_shared_as_far_as_they_go() {
    let first = slow(21_801, 60);
    let _running = first.start("");
    let words = format!(" is taken to 60 % by `u` of run `{}`", run_of(&first));
    refused(&beside(&first, &slow(21_802, 41)), &words);
    let mut fits = slow(21_803, 40);
    fits.unit.argv = vec!["true".to_owned()];
    fits.render();
    assert_eq!(beside(&first, &fits).status.code(), Some(0));
    // SLURM gives jobs their GPUs, and each job counts them anew.
    let mut in_job = fits.command("run");
    in_job
        .env("TOOLORCH_CLAIMS", first.path().join("claims"))
        .env("SLURM_JOB_ID", "7");
    assert_eq!(in_job.output().unwrap().status.code(), Some(0));
    // Nothing of it is left but what lives.
    assert_eq!(claims(&first).len(), 1, "{:?}", claims(&first));
}

#[test]
fn nobody_claims_for_a_process_that_is_not_his() {
    let lab = slow(21_804, 40);
    let folder = lab.path().join("claims");
    fs::create_dir_all(&folder).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let start_of = |pid: &str| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let rest = stat.rsplit(") ").next().unwrap();
        rest.split(' ').nth(19).unwrap().to_owned()
    };
    let (start, own, me) = (start_of("1"), start_of("self"), std::process::id());
    // Of pid 1, which lives, by somebody else; and texts that are none.
    for (name, text) in [
        (
            "0.r.u",
            format!("1:{start}:{}:65534:any:21804:4,5:90:r/u", boot.trim()),
        ),
        (
            "0.x y",
            "$(touch /tmp/x):1:b:0:any:21804:4:90:r/u".to_owned(),
        ),
        ("0.z", String::from("::::::::")),
        // Of another port, whatever its run is called.
        (
            "0.q-21804.u",
            format!("{me}:{own}:{}:0:any:1:0:0:q-21804/u", boot.trim()),
        ),
    ] {
        symlink(text, folder.join(name)).unwrap();
    }
    let running = lab.start("");
    assert!(running.program() > 0);
}

#[test]
fn where_the_folder_of_all_users_is_of_no_use_units_of_one_user_still_see_each_other() {
    let (first, second) = (slow(21_805, 40), slow(21_805, 10));
    let in_one_place = |lab: &Lab| {
        let mut run = lab.command("run");
        run.env("TOOLORCH_CLAIMS", "/dev/null");
        run.env("TOOLORCH_STATE", first.path().join("state"));
        run
    };
    let mut running = in_one_place(&first).spawn().unwrap();
    wait_for("its start", || {
        first.state("pid").filter(|pid| !pid.is_empty())
    });
    let said = in_one_place(&second).output().unwrap();
    refused(&said, "port 21805 is taken by `u` of run `");
    refused(
        &said,
        "`/dev/null` cannot be used: what other users are about to start here is not seen",
    );
    assert_eq!(first.say("stop --grace 0.2").code, Some(0));
    running.wait().unwrap();
}

/// A machine of two GPUs with 80 GiB, of which the second has 20 GiB left.
const NVIDIA_SMI: &str = r"#!/bin/bash
case $1 in
  --query-gpu=*) printf '4, GPU-a, 81559, 81100\n5, GPU-b, 81559, 20480\n' ;;
  --query-compute-apps=*) printf 'GPU-b, PID, 61000\nGPU-c, 1, 7\n' ;;
esac
";

fn with_smi(lab: &Lab, text: &str) -> Output {
    let bin = lab.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let program = bin.join("nvidia-smi");
    fs::write(
        &program,
        text.replace("PID", &std::process::id().to_string()),
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut run = lab.command("run");
    run.env("PATH", format!("{}:{path}", Path::new(&bin).display()));
    run.output().unwrap()
}

#[test]
fn a_gpu_that_somebody_uses_is_refused_and_he_is_named() {
    let lab = Lab::with(&["true"], |unit| {
        unit.gpus = vec![4, 5];
        unit.gpu_share = Some(90);
    });
    let words = "GPU 5 has 20.0 GiB of 79.6 GiB free, and `u` wants 90 %; in use: pid ";
    let said = with_smi(&lab, NVIDIA_SMI);
    refused(&said, words);
    refused(&said, " (root");
    refused(&said, ") 59.5 GiB");
    // What no process has comes back when the driver has freed it.
    let freed = NVIDIA_SMI.replace("GPU-b, PID, 61000\\n", "").replace(
        "20480\\n'",
        "%d\\n' $([[ -e ~/freed ]] && echo 81000 || echo 20480); touch ~/freed",
    );
    assert_eq!(with_smi(&lab, &freed).status.code(), Some(0));
    assert!(lab.path().join("freed").exists());
    // As much as is free, and what cannot be told.
    let enough = NVIDIA_SMI.replace("20480", "73404");
    assert_eq!(with_smi(&lab, &enough).status.code(), Some(0));
    let unknown = NVIDIA_SMI.replace("81559, 20480", "[N/A], [N/A]");
    assert_eq!(with_smi(&lab, &unknown).status.code(), Some(0));
    assert_eq!(
        with_smi(&lab, "#!/bin/bash\nexit 9\n").status.code(),
        Some(0)
    );
}
