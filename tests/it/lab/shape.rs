//! What a lab is made of.

use std::path::PathBuf;

/// Nodes and knobs; the default is the cluster of the log.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Nodes with sshd and tmux alone.
    pub(crate) plain: Vec<String>,
    /// Nodes with slurmd, from 172.27.31.10 on; without any there is no SLURM.
    pub(crate) slurm: Vec<String>,
    /// Nodes behind `bastion`.
    pub(crate) inner: Vec<String>,
    /// Nodes that do not see the shared home.
    pub(crate) private_home: Vec<String>,
    /// Nodes that want the password (`lab-secret`), keyboard-interactive, after the key.
    pub(crate) asking: Vec<String>,
    /// GPUs of each SLURM node.
    pub(crate) gpus: usize,
    /// sshd's limit of sessions in one connection.
    pub(crate) max_sessions: usize,
    /// sshd's limit of connections that are not authenticated yet, as in `sshd_config`.
    pub(crate) max_startups: String,
    /// Seconds; a node is down after some three times as many.
    pub(crate) slurmd_timeout: usize,
    /// Seconds, five at least; a requeued job is held back for one more.
    pub(crate) cred_expire: usize,
    /// With slurmdbd, for `sacct`.
    pub(crate) accounting: bool,
    /// The `toolorch` in everybody's `PATH`.
    pub(crate) program: PathBuf,
    /// The process with which the lab ends.
    pub(crate) owner: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            plain: names("research-secure-", &["05", "11", "12", "13"]),
            slurm: names("gpu-31-", &["10"]),
            inner: names("inner", &["01"]),
            private_home: Vec::new(),
            asking: Vec::new(),
            gpus: 8,
            max_sessions: 10,
            max_startups: "10:30:100".to_owned(),
            slurmd_timeout: 5,
            cred_expire: 5,
            accounting: false,
            program: env!("CARGO_BIN_EXE_toolorch").into(),
            owner: std::process::id(),
        }
    }
}

impl Shape {
    /// Four SLURM nodes, `gpu-31-10` to `gpu-31-13`, and no others.
    pub(crate) fn slurm() -> Self {
        Self {
            plain: Vec::new(),
            slurm: names("gpu-31-", &["10", "11", "12", "13"]),
            inner: Vec::new(),
            ..Self::default()
        }
    }

    /// These plain nodes, and no others.
    pub(crate) fn plain(nodes: &[&str]) -> Self {
        Self {
            plain: names("", nodes),
            slurm: Vec::new(),
            inner: Vec::new(),
            ..Self::default()
        }
    }

    /// The environment of `lab.sh up`.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let accounting = if self.accounting { "yes" } else { "no" };
        vec![
            ("LAB_PLAIN_NODES", self.plain.join(" ")),
            ("LAB_SLURM_NODES", self.slurm.join(" ")),
            ("LAB_INNER_NODES", self.inner.join(" ")),
            ("LAB_PRIVATE_HOME", self.private_home.join(" ")),
            ("LAB_ASKING_NODES", self.asking.join(" ")),
            ("LAB_GPUS", self.gpus.to_string()),
            ("LAB_MAX_SESSIONS", self.max_sessions.to_string()),
            ("LAB_MAX_STARTUPS", self.max_startups.clone()),
            ("LAB_SLURMD_TIMEOUT", self.slurmd_timeout.to_string()),
            ("LAB_CRED_EXPIRE", self.cred_expire.to_string()),
            ("LAB_ACCOUNTING", accounting.to_owned()),
            ("LAB_OWNER", self.owner.to_string()),
        ]
    }
}

fn names(start: &str, ends: &[&str]) -> Vec<String> {
    ends.iter().map(|end| format!("{start}{end}")).collect()
}
