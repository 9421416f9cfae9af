//! What files of models say, as the built program finds them: in a folder, and in a cache of Hugging Face.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// A config of 32 heads and 2048 positions.
const CONFIG: &str = r#"{"model_type": "qwen3", "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
    "hidden_size": 4096, "num_hidden_layers": 36, "max_position_embeddings": 2048}"#;

fn check(folder: &Path, model: &str) -> String {
    let yaml = format!(
        "version: 1\nname: files\nvllm: {{ version: \"0.12.0\" }}\nnodes: {{ box: {{ gpus: 8, gpu: H100-80GB, transport: local }} }}\n\
         models: {{ m: {{ model: {model}, node: box, tensor_parallel: 3, max_model_len: 4096 }} }}\n"
    );
    fs::write(folder.join("files.yaml"), yaml).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_toolorch"))
        .args(["check", "files.yaml"])
        .current_dir(folder)
        .env("HF_HOME", folder.join("hf"))
        .env("TOOLORCH_HOME", folder.join("home"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    said.replace(&folder.to_string_lossy().into_owned(), "FOLDER")
}

#[test]
fn a_folder_and_a_cache_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let snapshot = at.join("hf/hub/models--mycorp--agent/snapshots/0123");
    let refs = at.join("hf/hub/models--mycorp--agent/refs");
    for path in [&snapshot, &refs, &at.join("ckpt")] {
        fs::create_dir_all(path).unwrap();
    }
    assert!(
        !check(at, "mycorp/agent").contains("E04"),
        "nothing is known of it"
    );
    fs::write(refs.join("main"), "0123").unwrap();
    for path in [&snapshot, &at.join("ckpt")] {
        fs::write(path.join("config.json"), CONFIG).unwrap();
    }
    let cached = check(at, "mycorp/agent");
    for said in [
        "E0431",
        "E0423",
        "`FOLDER/hf/hub/models--mycorp--agent/snapshots/0123/config.json` says 32",
        "`FOLDER/hf/hub/models--mycorp--agent/snapshots/0123/config.json` allows 2048",
    ] {
        assert!(cached.contains(said), "{cached}");
    }
    let own = check(at, &at.join("ckpt").to_string_lossy());
    assert!(own.contains("`FOLDER/ckpt/config.json` says 32"), "{own}");
}
