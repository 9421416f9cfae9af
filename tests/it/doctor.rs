//! `toolorch doctor` and `check --nodes` on this machine, with an `nvidia-smi` and a vLLM that are scripts.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::up::scene::code;

/// Two GPUs; somebody has three quarters of the second one.
const NVIDIA_SMI: &str = r"#!/bin/bash
case $1 in
  --query-gpu=index,uuid,name,memory.total,memory.used,driver_version) printf '0, GPU-a, NVIDIA H100 80GB HBM3, 81559, 0, 580.1\n1, GPU-b, NVIDIA H100 80GB HBM3, 81559, 61440, 580.1\n' ;;
  --query-compute-apps=gpu_uuid,pid,used_memory) printf 'GPU-b, PID, 61000\n' ;;
  *) echo 'no such question' >&2; exit 2 ;;
esac
";

/// Says how often it was asked.
const VLLM: &str = r"#!/bin/bash
echo asked >>LOG
[[ $* == 'serve --help=all' ]] || exit 2
printf 'options:\n  --host HOST\n  --port PORT, -p PORT\n  --max-model-len N\n  --enforce-eager, --no-enforce-eager\n'
";

/// A folder with all that a cluster needs.
struct Site {
    dir: tempfile::TempDir,
    port: u16,
}

struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let site = Self { dir, port };
        for (file, text) in [
            ("venv/bin/activate", ""),
            ("model/config.json", "{}"),
            ("home/x", ""),
        ] {
            site.write(file, text);
        }
        site.script(
            "bin/nvidia-smi",
            &NVIDIA_SMI.replace("PID", &std::process::id().to_string()),
        );
        let log = site.path("asked");
        site.script("venv/bin/vllm", &VLLM.replace("LOG", log.to_str().unwrap()));
        site.release("0.12.0");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn script(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What is installed.
    fn release(&self, release: &str) {
        let packages = self.path("venv/lib/python3.12/site-packages");
        let _ = fs::remove_dir_all(&packages);
        let info = format!("venv/lib/python3.12/site-packages/vllm-{release}.dist-info/METADATA");
        self.write(
            &info,
            &format!("Metadata-Version: 2.1\nName: vllm\nVersion: {release}\n"),
        );
    }

    fn yaml(&self, args: &str, gpus: &str) {
        let (root, port) = (self.dir.path().display(), self.port);
        self.write("cluster.yaml", &format!(
            "version: 1\nname: here\nvllm: {{ version: \"0.12.0\", env: {{ venv: {root}/venv }} }}\n\
             nodes:\n  n: {{ gpus: 2, gpu: H100-80GB, transport: local, address: 127.0.0.1 }}\n\
             models:\n  m: {{ model: {root}/model, node: n, gpus: {gpus}, port: {port}, args: {args} }}\n"
        ));
    }

    fn toolorch(&self, words: &[&str]) -> Ended {
        let path = format!(
            "{}:{}",
            self.path("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let output = Command::new(env!("CARGO_BIN_EXE_toolorch"))
            .current_dir(self.dir.path())
            .args(words)
            .env_remove("XDG_CACHE_HOME")
            .env("HOME", self.path("home"))
            .env("PATH", path)
            .output()
            .unwrap();
        Ended {
            code: code(output.status),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn doctor(&self, code: i32) -> Ended {
        let said = self.toolorch(&["doctor", "cluster.yaml"]);
        assert_eq!(said.code, code, "{}{}", said.out, said.err);
        said
    }

    fn times_asked(&self) -> usize {
        fs::read_to_string(self.path("asked"))
            .unwrap_or_default()
            .lines()
            .count()
    }
}

#[track_caller]
fn has(text: &str, words: &str) {
    assert!(text.contains(words), "no `{words}` in\n{text}");
}

#[test]
fn a_machine_where_all_is_well_is_shown_and_nothing_is_changed() {
    let site = Site::new();
    site.yaml("{ enforce-eager: true }", "[0]");
    let said = site.doctor(0);
    has(
        &said.out,
        "GPU 0       NVIDIA H100 80GB HBM3, 0.0 of 79.6 GiB in use\n",
    );
    has(&said.out, "vLLM 0.12.0 with 5 flags\n");
    has(&said.out, "clock       as here\n");
    has(&said.out, " free of ");
    has(&said.err, "nothing stands in the way");
    // The only trace is what vLLM said of its flags, and it is not asked again.
    assert!(!site.path(".toolorch").exists());
    assert_eq!(site.times_asked(), 1);
    has(&site.doctor(0).out, "vLLM 0.12.0 with 5 flags\n");
    assert_eq!(site.times_asked(), 1);
    // Another installation is another answer; that of a plain check costs nothing.
    site.release("0.14.1");
    has(&site.doctor(3).err, "has vLLM 0.14.1, not 0.12.0");
    assert_eq!(site.times_asked(), 2);
    assert_eq!(site.toolorch(&["check", "cluster.yaml"]).code, 0);
    assert_eq!(site.times_asked(), 2);
}

#[test]
fn what_stands_in_the_way_is_told_at_the_yaml_s_lines() {
    let site = Site::new();
    site.yaml("{ swap-space: 4 }", "[1]");
    fs::remove_dir_all(site.path("model")).unwrap();
    let mut other = listener(site.port, "elsewhere-1-ab12/m-0/1/x");
    let said = site.doctor(3);
    other.kill().unwrap();
    other.wait().unwrap();
    let codes: Vec<&str> = said
        .err
        .lines()
        .filter_map(|line| line.split_once('[')?.1.split_once("]: "))
        .map(|(code, _)| code)
        .collect();
    assert_eq!(codes, ["E0705", "E0710", "E0712", "E0714"], "{}", said.err);
    has(
        &said.err,
        &format!("in use: pid {} (root)", std::process::id()),
    );
    has(&said.err, "vLLM 0.12.0 on `n` has no flag `--swap-space`");
    has(
        &said.err,
        &format!("pid {} (root) python3 at 127.0.0.1", other.id()),
    );
    // The same for programs, beside what the YAML alone shows.
    let said = site.toolorch(&["check", "--nodes", "cluster.yaml", "--format", "json"]);
    assert_eq!(said.code, 3, "{}", said.err);
    let line = said
        .out
        .lines()
        .find(|line| line.contains("E0710"))
        .unwrap();
    has(line, "\"path\":\"models.m.args.swap-space\"");
    has(line, "\"line\":7");
}

#[test]
fn what_runs_of_this_cluster_is_in_nobody_s_way() {
    let site = Site::new();
    site.yaml("{}", "[0]");
    let mut own = listener(site.port, "here-1-ab12/m-0/1/x");
    let pid = own.id().to_string();
    let smi = NVIDIA_SMI
        .replace("GPU-b, PID", "GPU-a, PID")
        .replace("81559, 0,", "81559, 61440,");
    site.script("bin/nvidia-smi", &smi.replace("PID", &pid));
    let said = site.doctor(0);
    own.kill().unwrap();
    own.wait().unwrap();
    has(
        &said.out,
        &format!("pid {pid} (root) python3 59.5 GiB of run here-1-ab12"),
    );
    has(&said.out, &format!("pid {pid} (root) python3\n"));
    has(&said.err, "nothing stands in the way");
}

/// A program at a port with the mark of a unit, once it listens.
fn listener(port: u16, mark: &str) -> Child {
    let program = format!(
        "import socket, time; s = socket.create_server(('127.0.0.1', {port})); print(1, flush=True); time.sleep(60)"
    );
    let mut child = Command::new("python3")
        .args(["-c", &program])
        .env("TOOLORCH_UNIT", mark)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut one = [0];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut one).unwrap();
    child
}

#[test]
fn a_machine_without_gpus_that_hangs_or_cannot_be_reached_is_unknown() {
    let site = Site::new();
    site.yaml("{}", "[0]");
    site.script(
        "bin/nvidia-smi",
        "#!/bin/bash\necho 'Failed to initialize NVML: Driver/library version mismatch'\nexit 18\n",
    );
    let said = site.doctor(0);
    has(
        &said.err,
        "warning[W0703]: the GPUs of `n` could not be looked at",
    );
    has(
        &said.err,
        "nvidia-smi ended with 18: Failed to initialize NVML",
    );
    let strict = site.toolorch(&["doctor", "cluster.yaml", "--strict"]);
    assert_eq!(strict.code, 3, "{}", strict.err);
    let yaml = fs::read_to_string(site.path("cluster.yaml")).unwrap();
    let far = "transport: ssh2, address: 192.0.2.1, ssh: { host: 127.0.0.7, port: 1 }";
    site.write(
        "cluster.yaml",
        &yaml.replace("transport: local, address: 127.0.0.1", far),
    );
    let said = site.toolorch(&["doctor", "cluster.yaml"]);
    assert_eq!(said.code, 3, "{}", said.err);
    has(&said.err, "error[E0701]: `n` could not be looked at");
    has(&said.out, "n\n  not known: ");
}

#[test]
fn the_script_answers_by_hand() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/doctor.sh");
    let output = Command::new("bash")
        .arg(script)
        .args([
            "path",
            "/a\tb\nc",
            "path",
            "/proc/1/root/x",
            "disk",
            "/no/such",
            "nonsense",
            "programs",
            "flock no-such-program",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    has(&text, "path\t/a?b?c\tabsent\n");
    has(&text, "disk\t/no/such\t/\t");
    has(
        &text,
        "unknown-question\tnonsense\nno-program\tno-such-program\n",
    );
    assert!(text.lines().last().unwrap().starts_with("end\t"), "{text}");
    assert_eq!(output.status.code(), Some(0));
}
