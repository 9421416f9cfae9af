//! What the program is given: variables in their order, limits, files, signals.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::lab::{Lab, python, variable};

/// Prints its environment as JSON (bytes as Latin-1) on one line of the log.
const SHOW: &str = "import os, json; print('ENV ' + json.dumps({k.decode('latin1'): v.decode('latin1') for k, v in os.environb.items()}))";

fn shown(lab: &Lab) -> BTreeMap<String, String> {
    let log = lab.read("log");
    let line = log.lines().find_map(|line| line.strip_prefix("ENV "));
    serde_json::from_str(line.unwrap_or_else(|| panic!("{log}"))).unwrap()
}

fn get<'a>(env: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    env.get(name).map(String::as_str)
}

#[test]
fn only_the_allow_list_is_kept() {
    let lab = Lab::with(&[python(), "-c", SHOW], |unit| unit.gpus = vec![4, 5]);
    let mut run = lab.command("run --generation 7 --launch L");
    for name in [
        "STALE",
        "U_ARGV",
        "NAME",
        "PIDS",
        "BASH_ENV",
        "HF_TOKEN",
        "x-y",
        "a.b",
        "CUDA_VISIBLE_DEVICES",
        "TOOLORCH_UNIT",
        "LD_PRELOAD_NOT",
    ] {
        run.env(name, "/nonexistent");
    }
    for name in [
        "HF_HOME",
        "LC_MESSAGES",
        "TZ",
        "SLURM_JOB_ID",
        "SSL_CERT_FILE",
        "MODULEPATH",
        "KRB5CCNAME",
    ] {
        run.env(name, "kept");
    }
    run.env("BASH_FUNC_kill%%", "() { echo hijacked; }")
        .env("BASH_FUNC_mv%%", "() { echo hijacked; }");
    run.env("SHELLOPTS", "errexit:nounset")
        .env("POSIXLY_CORRECT", "1")
        .env("GLOBIGNORE", "*")
        .env("SLURM_JWT", "secret");
    let output = run.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let env = shown(&lab);
    let names: Vec<&str> = env
        .keys()
        .map(String::as_str)
        .filter(|name| *name != "LC_CTYPE")
        .collect();
    assert_eq!(
        names.join(" "),
        "CUDA_VISIBLE_DEVICES HF_HOME HOME KRB5CCNAME LC_MESSAGES MODULEPATH PATH PWD PYTHONUNBUFFERED SHLVL \
         SLURM_JOB_ID SPT_NOENV SSL_CERT_FILE TOOLORCH_UNIT TZ"
    );
    assert_eq!(get(&env, "CUDA_VISIBLE_DEVICES"), Some("4,5"));
    assert_eq!(
        get(&env, "TOOLORCH_UNIT"),
        Some(format!("{}/u/7/L", lab.run()).as_str())
    );
    assert_eq!(get(&env, "PWD"), Some(lab.path().to_str().unwrap()));
    assert_eq!(lab.read("dropped"), "SLURM_JWT\n");
}

#[test]
fn a_setup_file_cannot_bring_keys_back() {
    let lab = Lab::with(&[python(), "-c", SHOW], |unit| {
        unit.setup = vec![
            "source ~/setup_envs.sh".to_owned(),
            "export SECOND=$FIRST.2".to_owned(),
        ];
        unit.pass = vec!["OPENAI_API_KEY".to_owned()];
        unit.set = vec![
            variable("TAVILY_KEY", "by set"),
            variable("LATE", "wins"),
            variable("no_proxy", "*"),
        ];
        unit.unset = vec!["UNWANTED".to_owned(), "PYTHONUNBUFFERED".to_owned()];
    });
    // Every word of it is what such files do: it runs with unset variables, fails in the middle, and uses common names.
    let file = "export OPENAI_API_KEY=stale NEBIUS_API_KEY=stale HTTPS_PROXY=http://p https_proxy=http://p OPENAI_BASE_URL=http://other\n\
                set -e\nfalse\nls /nonexistent\nexport FIRST=1$NOT_SET UNWANTED=x LATE=loses\n\
                set -a\nD=/ RUN=x S=1 PATHS=2 NAME=n i=3 pid=4 PLACE=/x unit=5 ALLEXPORTED=yes\n\
                main() { :; }; usage() { :; }; ours() { :; }; read_stat() { :; }; IFS=:; umask 0; cd /; declare -x DECLARED=yes\n\
                trap 'echo trapped' EXIT TERM\nVLLM_PORT=1\nreturn 4\n";
    fs::write(lab.path().join("setup_envs.sh"), file).unwrap();
    let said = lab
        .command("run")
        .env("OPENAI_API_KEY", "from the caller")
        .output()
        .unwrap();
    assert_eq!(said.status.code(), Some(0), "{said:?} {}", lab.read("log"));
    let env = shown(&lab);
    let values = [
        "OPENAI_API_KEY",
        "TAVILY_KEY",
        "FIRST",
        "SECOND",
        "LATE",
        "no_proxy",
        "DECLARED",
        "ALLEXPORTED",
        "D",
        "PYTHONUNBUFFERED",
    ]
    .map(|name| format!("{name}={}", get(&env, name).unwrap_or("(none)")));
    assert_eq!(
        values.join("\n"),
        "OPENAI_API_KEY=from the caller\nTAVILY_KEY=by set\nFIRST=1\nSECOND=1.2\nLATE=wins\nno_proxy=*\nDECLARED=yes\n\
         ALLEXPORTED=yes\nD=/\nPYTHONUNBUFFERED=1"
    );
    for gone in [
        "NEBIUS_API_KEY",
        "HTTPS_PROXY",
        "https_proxy",
        "OPENAI_BASE_URL",
        "VLLM_PORT",
        "UNWANTED",
    ] {
        assert_eq!(get(&env, gone), None, "{gone}");
    }
    assert_eq!(
        get(&env, "PWD"),
        Some(lab.path().to_str().unwrap()),
        "cwd is the plan's, not the file's"
    );
    let mut dropped: Vec<String> = lab.read("dropped").lines().map(str::to_owned).collect();
    dropped.sort();
    assert_eq!(
        dropped.join(" "),
        "HTTPS_PROXY NEBIUS_API_KEY OPENAI_BASE_URL VLLM_PORT https_proxy"
    );
    let log = lab.read("log");
    assert!(
        log.contains("toolorch: setup line 1 ended with status 4: source ~/setup_envs.sh\n"),
        "{log}"
    );
    assert!(!log.contains("trapped"), "{log}");
}

#[test]
fn secrets_come_from_the_file_first_and_byte_for_byte() {
    let lab = Lab::with(&[python(), "-c", SHOW], |unit| {
        unit.pass = ["ONE", "TWO", "THREE"].map(str::to_owned).to_vec();
    });
    let give = |words: &str, two: &str| {
        let mut command = lab.command(words);
        command.env("ONE", "caller's").env("TWO", two);
        command
    };
    assert_eq!(
        give("secrets", "`id -un` $(x)\n'\"\\ \n")
            .output()
            .unwrap()
            .status
            .code(),
        Some(0)
    );
    let mode = fs::metadata(lab.file("secrets"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut bytes = fs::read(lab.file("secrets")).unwrap();
    bytes.extend(b"THREE=\xff\x01\0");
    fs::write(lab.file("secrets"), bytes).unwrap();
    assert_eq!(
        give("run", "another").output().unwrap().status.code(),
        Some(0),
        "{}",
        lab.read("supervisor.log")
    );
    let env = shown(&lab);
    assert_eq!(get(&env, "ONE"), Some("caller's"));
    assert_eq!(get(&env, "TWO"), Some("`id -un` $(x)\n'\"\\ \n"));
    assert_eq!(get(&env, "THREE"), Some("\u{ff}\u{1}"));
    // A start tomorrow, from a shell without them, has them still; `secrets` there takes nothing away.
    assert_eq!(lab.say("secrets").code, Some(0));
    assert_eq!(lab.say("run").code, Some(0));
    for file in ["state", "log", "supervisor.log", "intended"] {
        assert!(
            !lab.read(file).contains("caller's") || file == "log",
            "{file}"
        );
    }
}

#[test]
fn names_that_bash_keeps_for_itself_can_be_set() {
    let names = [
        "UID",
        "SHLVL",
        "IFS",
        "RANDOM",
        "BASH_ENV",
        "POSIXLY_CORRECT",
        "_",
        "U_ARGV",
        "HOSTNAME",
        "LINES",
        "LC_ALL",
        "OLDPWD",
    ];
    let lab = Lab::with(&[python(), "-c", SHOW], |unit| {
        unit.set = names.map(|name| variable(name, "x y")).to_vec();
    });
    assert_eq!(lab.say("run").code, Some(0));
    let env = shown(&lab);
    for name in names {
        assert_eq!(get(&env, name), Some("x y"), "{name}");
    }
}

#[test]
fn files_limits_umask_and_signals_are_what_the_plan_says() {
    let line = "import os, resource, signal, stat\n\
        print('fds', sorted(int(fd) for fd in os.listdir('/proc/self/fd'))[:3], len(os.listdir('/proc/self/fd')))\n\
        print('nofile', *resource.getrlimit(resource.RLIMIT_NOFILE))\n\
        print('umask', oct(os.umask(0)))\n\
        print('stdin', os.readlink('/proc/self/fd/0'))\n\
        print('ignored', [s.name for s in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) == signal.SIG_IGN])\n\
        print('session', os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid())";
    let lab = Lab::with(&[python(), "-c", line], |unit| {
        unit.open_files = Some(300);
        unit.umask = Some("0027".to_owned());
    });
    // An open file, a lower soft limit, a lower hard limit, and ignored signals are inherited from whoever starts it.
    let start = |limits: &str| {
        let run = lab.command("run");
        let args: Vec<_> = run
            .get_args()
            .map(|arg| arg.to_string_lossy().into_owned())
            .collect();
        let mut command = std::process::Command::new("bash");
        command.env_clear().envs(
            run.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let status = command
            .arg("-c")
            .arg(format!(
                "{limits}; exec 7</dev/null; umask 022; exec bash \"$@\""
            ))
            .arg("sh")
            .args(args)
            .stderr(std::process::Stdio::null())
            .status();
        assert_eq!(
            status.unwrap().code(),
            Some(0),
            "{}",
            lab.read("supervisor.log")
        );
        let log = lab.read("log");
        fs::remove_file(lab.file("log")).unwrap();
        log
    };
    let expected = "fds [0, 1, 2] 4\nnofile 300 500\numask 0o27\nstdin /dev/null\nignored []\nsession True True\n";
    assert_eq!(start("ulimit -Sn 100; ulimit -Hn 500"), expected);
    assert_eq!(lab.state("nofile").unwrap(), "300");
    assert_eq!(
        start("ulimit -Sn 100; ulimit -Hn 200"),
        expected.replace("300 500", "200 200")
    );
    assert_eq!(lab.state("nofile").unwrap(), "200");
    assert_eq!(
        start("ulimit -Sn 400; ulimit -Hn 600"),
        expected.replace("300 500", "400 600"),
        "never lowered"
    );
}

#[test]
fn modules_conda_and_venv_come_before_the_setup_lines() {
    let lab = Lab::with(&[python(), "-c", SHOW], |unit| {
        unit.env.modules = vec!["cuda/12".to_owned(), "gcc".to_owned()];
        unit.env.conda = Some("vllm1".to_owned());
        unit.env.venv = Some("~/venv".to_owned());
        unit.setup = vec!["export ORDER=\"$ORDER setup\"".to_owned()];
    });
    let file = |path: &str, text: &str| {
        let path = lab.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    file(
        "modules/init/bash",
        "module() { export ORDER=\"$ORDER $1:$2\"; }\n",
    );
    file(
        "conda/etc/profile.d/conda.sh",
        "conda() { export ORDER=\"$ORDER conda:$2\" CONDA_PREFIX=x; }\n",
    );
    file("conda/envs/vllm1/x", "");
    file("venv/bin/activate", "export ORDER=\"$ORDER venv\"\n");
    let run = |home: &str| {
        let mut command = lab.command("run");
        command.env("MODULESHOME", lab.path().join("modules"));
        command.env("CONDA_EXE", lab.path().join(home).join("bin/conda"));
        command.output().unwrap().status.code()
    };
    assert_eq!(run("conda"), Some(0), "{}", lab.read("log"));
    assert_eq!(
        get(&shown(&lab), "ORDER"),
        Some(" load:cuda/12 load:gcc conda:vllm1 venv setup")
    );
    fs::remove_dir_all(lab.path().join("conda/envs")).unwrap();
    assert_eq!(run("conda"), Some(78));
    let reason = lab.state("reason").unwrap();
    assert!(
        reason.starts_with("conda env `vllm1` does not exist under `"),
        "{reason}"
    );
}

#[test]
fn what_a_wrapper_adds_is_noticed() {
    let wrapper = "export NEBIUS_API_KEY=back; unset HOME; exec sleep 60";
    let lab = Lab::new(&["bash", "-c", wrapper]);
    let running = lab.start("");
    let found = super::lab::wait_for("the comparison", || {
        Some(lab.read("environ.diff")).filter(|text| !text.is_empty())
    });
    assert_eq!(found, "+NEBIUS_API_KEY\n-HOME\n");
    drop(running);
    let lab = Lab::new(&["sleep", "60"]);
    let _running = lab.start("");
    super::lab::wait_for("the recorder", || {
        Some(()).filter(|()| lab.file("tree").exists())
    });
    assert_eq!(lab.read("environ.diff"), "");
}

#[test]
fn what_may_be_passed_is_passed_where_the_caller_has_it() {
    let lab = Lab::with(&[python(), "-c", SHOW], |unit| {
        unit.may_pass = vec!["SSH_AUTH_SOCK".to_owned()];
    });
    for (socket, generation) in [(None, "1"), (Some("/run/agent"), "2")] {
        let mut run = lab.command(&format!("run --generation {generation}"));
        run.env_remove("SSH_AUTH_SOCK");
        run.envs(socket.map(|socket| ("SSH_AUTH_SOCK", socket)));
        let output = run.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let log = lab.read("log");
        let last = log.lines().rev().find_map(|line| line.strip_prefix("ENV "));
        let env: BTreeMap<String, String> = serde_json::from_str(last.unwrap()).unwrap();
        assert_eq!(get(&env, "SSH_AUTH_SOCK"), socket);
    }
}
