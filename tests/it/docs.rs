//! The pages keep their word: commands run, links lead somewhere, numbers are those of the code.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use assert_cmd::Command;
use toolorch::base::ExitStatus;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The commands of the page's console blocks, without `$ `.
fn commands(page: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in page.lines() {
        if let Some(language) = line.strip_prefix("```") {
            inside = language == "console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            found.push(command.to_owned());
        }
    }
    found
}

#[test]
fn the_changelog_has_this_version() {
    let heading = format!("\n## [{}] - ", env!("CARGO_PKG_VERSION"));
    let changelog = page("CHANGELOG.md");
    assert!(changelog.contains(&heading), "no heading `{heading}`");
    assert!(changelog.contains("\n## [Unreleased]\n"));
}

#[test]
fn links_lead_somewhere() {
    for name in [
        "README.md",
        "docs/ADAPTERS.md",
        "docs/ARCHITECTURE.md",
        "docs/LIVE.md",
        "docs/REHEARSAL.md",
        "docs/REPORT.md",
        "docs/SAMPLES.md",
        "docs/VERDICT.md",
        "docs/STYLE.md",
        "docs/WEIGHTS.md",
    ] {
        let folder = root().join(name);
        let text = page(name);
        let links = text.split("](").skip(1).map(|rest| rest.split(')').next());
        for link in links.flatten().filter(|link| !link.starts_with("http")) {
            let target = folder.parent().unwrap().join(link);
            assert!(target.exists(), "{name} links to {link}");
        }
    }
}

#[test]
fn the_readme_has_every_exit_code() {
    let readme = page("README.md");
    let rows: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    for status in ExitStatus::ALL {
        let code = status.code().to_string();
        let listed = rows.iter().any(|row| {
            let first = row.split('|').nth(1).unwrap_or_default();
            first.split(',').any(|cell| cell.trim() == code)
        });
        assert!(listed, "exit code {code} is not in the README");
    }
}

#[test]
fn the_map_names_every_floor() {
    let map = page("docs/ARCHITECTURE.md");
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            let floor = entry.file_name().into_string().unwrap();
            assert!(
                map.contains(&format!("`{floor}`")),
                "{floor} is not on the map"
            );
        }
    }
}

/// A copy of the examples, with free ports in the quickstart's.
fn examples() -> (tempfile::TempDir, Vec<u16>) {
    let copy = tempfile::tempdir().unwrap();
    copy_tree(&root().join("clusters"), &copy.path().join("clusters"));
    let quickstart = copy.path().join("clusters/quickstart.yaml");
    let mut text = fs::read_to_string(&quickstart).unwrap();
    let mut used = Vec::new();
    for port in ["18100", "18110", "18120", "18130"] {
        assert!(text.contains(port), "the quickstart has no port {port}");
        let free = free_ports();
        text = text.replace(port, &free.to_string());
        used.extend([free, free + 1]);
    }
    fs::write(&quickstart, text).unwrap();
    (copy, used)
}

/// The first of two neighbouring ports on which nobody listens.
fn free_ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_name().to_str() {
            // What a run by hand left behind.
            Some("out" | ".toolorch" | "__pycache__") => {}
            _ if from.is_dir() => copy_tree(&from, &to),
            _ => {
                fs::copy(&from, &to).unwrap();
            }
        }
    }
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, |entries| {
        entries
            .filter_map(Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|ext| ext == "json"))
            .count()
    })
}

#[test]
fn the_readme_s_commands_do_what_they_say() {
    let (copy, ports) = examples();
    let commands = commands(&page("README.md"));
    assert_eq!(
        commands[0],
        "cargo run --release -- up clusters/quickstart.yaml"
    );
    assert_eq!(commands[1], "./tests/run");
    for command in &commands {
        // The suite that this test is part of, and the one that downloads gigabytes.
        if ["./tests/run", "./tests/real"].contains(&command.as_str()) {
            assert!(root().join(command).exists(), "{command}");
            continue;
        }
        let arguments = command
            .strip_prefix("cargo run --release -- ")
            .or_else(|| command.strip_prefix("toolorch "))
            .unwrap_or_else(|| panic!("`{command}` is neither cargo nor toolorch"));
        let output = Command::new(env!("CARGO_BIN_EXE_toolorch"))
            .args(shlex::split(arguments).unwrap())
            .current_dir(copy.path())
            .env_remove("PYTHONUNBUFFERED")
            .env_remove("PYTHONDONTWRITEBYTECODE")
            .env_remove("TOOLORCH_HOME")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "`{command}` ended with {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert_eq!(
        files(&copy.path().join("clusters/quickstart/out/results")),
        200
    );
    assert!(copy.path().join("scripts/MANIFEST").is_file());
    for port in ports {
        // Somebody may connect from it: who listens is the question.
        let served = TcpStream::connect(("127.0.0.1", port));
        assert!(served.is_err(), "port {port} is still served after `up`");
    }
}
